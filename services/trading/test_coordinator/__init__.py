"""The test coordinator: runs scenarios and sees what happens."""

from trading.test_coordinator.component import TestCoordinator
from trading.test_coordinator.standby import Standby

__all__ = ["Standby", "TestCoordinator"]

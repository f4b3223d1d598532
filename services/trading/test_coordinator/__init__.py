"""The test coordinator runs a scenario: it injects faults and observes how the system reacts."""

from trading.test_coordinator.component import TestCoordinator
from trading.test_coordinator.standby import IdleCoordinator

__all__ = ["IdleCoordinator", "TestCoordinator"]

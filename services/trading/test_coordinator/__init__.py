"""The scenario engine as a component."""

from trading.test_coordinator.component import TestCoordinator

__all__ = ["TestCoordinator"]

"""The event loop of the services: uvloop, where it is available."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` as :func:`asyncio.run` does, on that loop."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main)

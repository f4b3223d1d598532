"""Waits for a store that is away."""

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from trading.hosting.store import StoreUnavailable

log = logging.getLogger(__name__)

#: Wall seconds between two attempts.
_AGAIN = 0.5

P = ParamSpec("P")
T = TypeVar("T")


async def stored(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do in a thread what needs the store, again and again while that is away."""
    told = False
    while True:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except StoreUnavailable as error:
            if not told:
                log.warning("waiting for the store: %s", error)
                told = True
            await asyncio.sleep(_AGAIN)

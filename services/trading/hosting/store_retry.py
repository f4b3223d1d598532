"""Retries an operation for as long as the store cannot be reached."""

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from trading.hosting.store import StoreUnavailable

log = logging.getLogger(__name__)

#: Wall seconds between two attempts.
_RETRY_DELAY = 0.5

P = ParamSpec("P")
T = TypeVar("T")


async def retry_while_unavailable(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``work`` in a thread, and again every 0.5 s while it raises StoreUnavailable.

    Returns what ``work`` returns. Any other error is passed on.
    """
    warned = False
    while True:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except StoreUnavailable as error:
            if not warned:
                log.warning("waiting for the store: %s", error)
                warned = True
            await asyncio.sleep(_RETRY_DELAY)

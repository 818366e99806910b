"""Ends a task for certain."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_AFTER_SECONDS = 1.0


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancels `task` until it has ended; what it raised stays in the task.

    Once is not enough: `asyncio.wait_for` of Python 3.11 returns a result that arrives together with the cancellation
    and forgets the latter (cpython issue 86296), and every request of the NATS client waits by it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_AFTER_SECONDS)

"""Connects a worker to the broker and runs it until the process is told to end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from espalier_builder.device import Device
from espalier_builder.failure import BuilderError
from espalier_builder.worker.attempt import AttemptSettings
from espalier_builder.worker.end_task import end_task
from espalier_builder.worker.names import INBOX_PREFIX
from espalier_builder.worker.worker import Worker, WorkerSettings

log = logging.getLogger(__name__)
_CONNECT_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """`nats_url`: one or several addresses, divided by commas. `credentials` None: a broker without users."""

    nats_url: str
    credentials: Path | None
    cache: Path
    device: Device
    job_timeout_seconds: float


def serve(options: ServeOptions) -> None:
    """Works until SIGINT or SIGTERM; the job in hand is stopped then and goes to another builder.

    Raises BuilderError `BROKER_UNREACHABLE`, `QUEUE_MISSING`, `CREDENTIALS_MISSING`.
    """
    if options.credentials is not None and not options.credentials.is_file():
        raise BuilderError(
            "CREDENTIALS_MISSING",
            f"{options.credentials} does not exist",
            "take the builder's credentials file from the coordinator's data folder",
        )
    asyncio.run(_serve(options))


async def _serve(options: ServeOptions) -> None:
    try:
        connection = await nats.connect(
            options.nats_url.split(","),
            user_credentials=None if options.credentials is None else str(options.credentials),
            inbox_prefix=INBOX_PREFIX.encode(),
            name="espalier-builder",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            # A first connection that fails is the user's to see; a lost one is tried again for ever.
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            ping_interval=5,
            error_cb=_log_error,
        )
    except (NatsError, OSError, TimeoutError) as error:
        raise BuilderError(
            "BROKER_UNREACHABLE",
            f"no broker answers at {options.nats_url} ({error})",
            "start the coordinator, or check --nats and --creds",
        ) from error
    builder_id = f"{socket.gethostname()}-{os.getpid()}"
    attempt = AttemptSettings(options.cache, options.job_timeout_seconds, options.device)
    worker = Worker(connection, WorkerSettings(builder_id=builder_id, attempt=attempt))
    told_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    log.info("builder %s waits for jobs at %s", builder_id, options.nats_url)
    try:
        await _work_until(told_to_end, worker)
    except NotFoundError as error:
        raise BuilderError(
            "QUEUE_MISSING", "the broker has no build queue", "start the coordinator first: it makes the queue"
        ) from error
    finally:
        await connection.close()


async def _work_until(told_to_end: asyncio.Event, worker: Worker) -> None:
    """Returns when the worker was told to end, raises what it failed with."""
    working, waiting = asyncio.create_task(worker.run()), asyncio.create_task(told_to_end.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    await end_task(waiting)
    await end_task(working)
    if not working.cancelled():
        working.result()


async def _log_error(error: Exception) -> None:
    log.warning("broker: %s", error)

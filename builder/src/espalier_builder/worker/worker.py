"""The worker's loop: take a job, keep it alive while it runs, and say how it ended.

INVARIANTS: a job is acknowledged only after its result is in the inbox and `succeeded` was published; every job that
this worker gives up has a dead letter with the reason before it is terminated; nothing that a job does ends the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext

from espalier_builder.contracts import canonical_json
from espalier_builder.worker.attempt import AttemptSettings, attempt_job
from espalier_builder.worker.child import Succeeded
from espalier_builder.worker.end_task import end_task
from espalier_builder.worker.job_events import JobEvents
from espalier_builder.worker.job_message import MalformedJob, job_id_of_subject, parse_job
from espalier_builder.worker.names import CONSUMER, JOBS_STREAM, dead_subject

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    builder_id: str
    attempt: AttemptSettings
    # As the consumer's max_deliver: after so many the broker doesn't deliver again.
    most_attempts: int = 4
    # Delays before the second, third and fourth attempt, jittered by a fifth.
    retry_delays_seconds: tuple[float, ...] = (5.0, 30.0, 120.0)
    # Well inside the consumer's ack wait of 30 s.
    keep_alive_seconds: float = 10.0
    flush_seconds: float = field(default=0.5)
    poll_seconds: float = 5.0


class Worker:
    """Runs jobs one after another, until the task of `run` is ended (`end_task`)."""

    def __init__(self, connection: Client, settings: WorkerSettings) -> None:
        self._jetstream: JetStreamContext = connection.jetstream()
        self._settings = settings

    async def run(self) -> None:
        subscription = await self._jetstream.pull_subscribe_bind(consumer=CONSUMER, stream=JOBS_STREAM)
        while True:
            try:
                messages = await subscription.fetch(1, timeout=self._settings.poll_seconds)
            except NatsTimeoutError:
                continue
            except NatsError as error:
                log.warning("the job queue doesn't answer (%s); asking again", error)
                await asyncio.sleep(self._settings.poll_seconds)
                continue
            for message in messages:
                await self.handle(message)

    async def handle(self, message: Msg) -> None:
        """Takes one delivery to its end. After a lost broker or a cancelled call the job is delivered again."""
        try:
            async with self._kept_alive(message):
                job = parse_job(message.data)
                if isinstance(job, MalformedJob):
                    await self._refuse(message, job)
                else:
                    await self._work(message, job)
        except NatsError as error:
            log.warning("lost the broker in a job (%s); it comes again", error)
        except asyncio.CancelledError:
            with contextlib.suppress(NatsError):
                await message.nak()
            raise

    async def _work(self, message: Msg, job: dict[str, Any]) -> None:
        attempt = message.metadata.num_delivered
        events = self._events(job["jobId"], attempt)
        log.info("job %s (%s), attempt %d", job["jobId"], job["kind"], attempt)
        running = asyncio.create_task(attempt_job(job, self._jetstream, events, self._settings.attempt))
        try:
            await self._watch(message, events, running)
        finally:
            await end_task(running)
        if running.cancelled():
            log.info("job %s was withdrawn", job["jobId"])
            return
        outcome = running.result()
        if isinstance(outcome, Succeeded):
            await events.finish("succeeded", "", outcome.digest)
            await message.ack_sync()
            return
        log.warning("job %s failed: %s", job["jobId"], outcome.reason)
        if outcome.final or attempt >= self._settings.most_attempts:
            await self._give_up(message, events, job, outcome.reason)
            return
        await events.finish("retrying", outcome.reason)
        delays = self._settings.retry_delays_seconds
        delay = delays[min(attempt, len(delays)) - 1]
        await message.nak(delay=delay * random.uniform(0.8, 1.2))

    async def _watch(self, message: Msg, events: JobEvents, running: asyncio.Task[Any]) -> None:
        """Publishes progress until the job ends; ends it when its message is gone from the queue (withdrawn)."""
        checks = max(1, round(self._settings.keep_alive_seconds / self._settings.flush_seconds))
        turn = 0
        while not running.done():
            await asyncio.wait({running}, timeout=self._settings.flush_seconds)
            turn += 1
            await events.flush()
            if turn % checks == 0 and not running.done() and await self._withdrawn(message):
                return

    async def _withdrawn(self, message: Msg) -> bool:
        info = await self._jetstream.stream_info(JOBS_STREAM, subjects_filter=message.subject)
        return not info.state.subjects

    async def _refuse(self, message: Msg, job: MalformedJob) -> None:
        job_id = job_id_of_subject(message.subject)
        if job_id is None:
            log.error("dropped a message on %s that names no job", message.subject)
            await message.term()
            return
        events = self._events(job_id, message.metadata.num_delivered)
        await self._give_up(message, events, job.content, job.reason)

    async def _give_up(self, message: Msg, events: JobEvents, job: Any, reason: str) -> None:
        attempts = message.metadata.num_delivered
        letter = canonical_json({"job": job, "reason": reason[:4000], "attempts": attempts})
        await self._jetstream.publish(dead_subject(events.job_id), letter)
        await events.finish("dead", reason)
        log.error("gave up %s after %d attempts: %s", message.subject, attempts, reason)
        await message.term()

    def _events(self, job_id: str, attempt: int) -> JobEvents:
        return JobEvents(self._jetstream, job_id=job_id, attempt=attempt, builder_id=self._settings.builder_id)

    @contextlib.asynccontextmanager
    async def _kept_alive(self, message: Msg) -> AsyncIterator[None]:
        async def say_so() -> None:
            while True:
                await asyncio.sleep(self._settings.keep_alive_seconds)
                with contextlib.suppress(NatsError):
                    await message.in_progress()

        task = asyncio.create_task(say_so())
        try:
            yield
        finally:
            task.cancel()

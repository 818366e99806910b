"""What a worker says of a job while it works: the `BuildProgress` contract."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Literal

from nats.js import JetStreamContext

from espalier_builder.contracts import canonical_json, validate
from espalier_builder.worker.names import event_subject

State = Literal["running", "succeeded", "retrying", "dead"]
_LONGEST_MESSAGE = 4000
_LEAST_INTERVAL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """Where a job stands. `fraction` is of the whole job."""

    stage: str
    fraction: float
    message: str = ""


class JobEvents:
    """Events of one attempt, in order. Steps may come fast: the newest is published twice a second at most."""

    def __init__(self, jetstream: JetStreamContext, *, job_id: str, attempt: int, builder_id: str) -> None:
        self._jetstream = jetstream
        self.job_id = job_id
        self._attempt = attempt
        self._builder_id = builder_id
        self._sequence = 0
        self._last = Step("queued", 0.0)
        self._pending: Step | None = None
        self._published_at = float("-inf")
        self._lock = asyncio.Lock()

    def report(self, step: Step) -> None:
        """Remembers the step; `flush` publishes it."""
        # A job's share only grows, also where stages estimate theirs badly.
        self._last = self._pending = Step(step.stage, max(step.fraction, self._last.fraction), step.message)

    async def flush(self) -> None:
        if self._pending is None or time.monotonic() - self._published_at < _LEAST_INTERVAL_SECONDS:
            return
        step, self._pending = self._pending, None
        await self._publish("running", step, None)

    async def finish(self, state: State, message: str, result_digest: str | None = None) -> None:
        self._pending = None
        fraction = 1.0 if state == "succeeded" else self._last.fraction
        await self._publish(state, Step(self._last.stage, fraction, message), result_digest)

    async def _publish(self, state: State, step: Step, result_digest: str | None) -> None:
        async with self._lock:
            event: dict[str, Any] = {
                "schemaVersion": 1,
                "jobId": self.job_id,
                "attempt": self._attempt,
                "sequence": self._sequence,
                "builderId": self._builder_id,
                "atMs": int(time.time() * 1000),
                "state": state,
                "stage": step.stage,
                "fraction": min(1.0, max(0.0, step.fraction)),
                "message": step.message[:_LONGEST_MESSAGE],
                "resultDigest": result_digest,
            }
            validate("BuildProgress", event)
            await self._jetstream.publish(event_subject(self.job_id), canonical_json(event))
            self._sequence += 1
            self._published_at = time.monotonic()

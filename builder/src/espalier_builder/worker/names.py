"""Names on the broker; shared/src/nats-names.ts is where they are defined."""

from __future__ import annotations

JOBS_STREAM = "BUILD_JOBS"
CONSUMER = "builders"
INPUTS_BUCKET = "inputs"
INBOX_BUCKET = "inbox"
# Replies to builders, the only subjects that they may subscribe to.
INBOX_PREFIX = "_IN.builder"
JOB_PREFIX = "espalier.build.job."


def hex_of(digest: str) -> str:
    """The object name of a blob."""
    return digest.removeprefix("sha256:")


def event_subject(job_id: str) -> str:
    return f"espalier.build.event.{hex_of(job_id)}"


def dead_subject(job_id: str) -> str:
    return f"espalier.build.dead.{hex_of(job_id)}"

"""Reads a job off its message, trusting nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from espalier_builder.contracts import digest_of_json, validate
from espalier_builder.failure import BuilderError
from espalier_builder.worker.names import JOB_PREFIX


@dataclass(frozen=True, slots=True)
class MalformedJob:
    """`content`: what came, as far as it is JSON, for whoever reads the dead letter."""

    content: Any
    reason: str


def parse_job(data: bytes) -> dict[str, Any] | MalformedJob:
    """The `BuildJob`, or why it is none. A job is named by its content: another content under the name is refused."""
    try:
        job: Any = json.loads(data)
    except ValueError as error:
        return MalformedJob(data[:4000].decode(errors="replace"), f"JOB_MALFORMED: no JSON ({error})")
    try:
        validate("BuildJob", job)
    except BuilderError as error:
        return MalformedJob(job, f"JOB_MALFORMED: {error}")
    named = digest_of_json({key: value for key, value in job.items() if key != "jobId"})
    if named != job["jobId"]:
        return MalformedJob(job, f"JOB_MALFORMED: its content hashes to {named}, its jobId is {job['jobId']}")
    return job  # type: ignore[no-any-return]


def job_id_of_subject(subject: str) -> str | None:
    """The id that a job's subject names, or None for a subject that isn't a job's."""
    name = subject.removeprefix(JOB_PREFIX)
    return f"sha256:{name}" if re.fullmatch(r"[0-9a-f]{64}", name) else None

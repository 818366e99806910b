"""One delivery of a job: fetch its inputs, run it in a child, hand in what it made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats.js import JetStreamContext

from espalier_builder.artifact.work_folder import work_folder
from espalier_builder.failure import BuilderError
from espalier_builder.worker.blob_bucket import BlobBucket
from espalier_builder.worker.child import REQUEST_FILE, Failed, Succeeded, start_job
from espalier_builder.worker.deliver import deliver
from espalier_builder.worker.fetch_tree import fetch_tree, tree_name
from espalier_builder.worker.job_events import JobEvents, Step
from espalier_builder.worker.names import INBOX_BUCKET, INPUTS_BUCKET

# Shares of a job's progress: fetching its inputs, working, handing in.
_WORK_STARTS, _WORK_ENDS = 0.05, 0.95

# What a job of each kind leaves in its folder, by the names that artifacts and kits use.
RESULT_DOCUMENTS = {
    "build": "manifest.json",
    "kit": "kit.json",
    "sensitivity": "sensitivity.json",
    "profile": "profile.json",
    "search": "front.json",
}
RESULT_FOLDER = "out"


@dataclass(frozen=True, slots=True)
class AttemptSettings:
    """`cache` keeps fetched inputs, finished stages and the work of running jobs."""

    cache: Path
    job_timeout_seconds: float
    device: str


async def attempt_job(
    job: dict[str, Any], jetstream: JetStreamContext, events: JobEvents, settings: AttemptSettings
) -> Succeeded | Failed:
    """Never raises for anything that the job or the broker can cause, but is cancellable: the child ends with it."""
    try:
        with work_folder(settings.cache / "work", "job-") as work:
            await _write_request(job, jetstream, events, settings, work)
            outcome = await _run(work, events, settings)
            if isinstance(outcome, Failed):
                return outcome
            digest = await deliver(
                BlobBucket(jetstream, INBOX_BUCKET),
                work / RESULT_FOLDER,
                RESULT_DOCUMENTS[job["kind"]],
                lambda share: events.report(Step("deliver", _WORK_ENDS + (1 - _WORK_ENDS) * share)),
            )
        return Succeeded(digest)
    except BuilderError as error:
        # Inputs may arrive later and a broker may recover: unlike the job's own errors these are worth another try.
        return Failed(f"{error.code}: {error}", final=False)
    except Exception as error:
        return Failed(f"{type(error).__name__}: {error}", final=False)


async def _write_request(
    job: dict[str, Any], jetstream: JetStreamContext, events: JobEvents, settings: AttemptSettings, work: Path
) -> None:
    inputs, trees = BlobBucket(jetstream, INPUTS_BUCKET), settings.cache / "trees"

    async def fetch(digest: str) -> Path:
        return await fetch_tree(inputs, digest, trees, lambda share: events.report(Step("fetch", share * _WORK_STARTS)))

    async def fetch_text(digest: str | None) -> str | None:
        return None if digest is None else str(await fetch(digest))

    model = await fetch(job["modelDigest"])
    request = {
        "job": job,
        "modelFolder": str(model),
        "modelName": tree_name(model),
        "calibrationFolder": await fetch_text(job.get("calibrationDigest")),
        "evaluationFolder": await fetch_text(job.get("evaluationDigest")),
        "stagesFolder": str(settings.cache / "stages"),
        "outFolder": str(work / RESULT_FOLDER),
        "device": settings.device,
    }
    (work / REQUEST_FILE).write_text(json.dumps(request), encoding="utf8")


async def _run(work: Path, events: JobEvents, settings: AttemptSettings) -> Succeeded | Failed:
    def on_step(step: Step) -> None:
        fraction = _WORK_STARTS + (_WORK_ENDS - _WORK_STARTS) * step.fraction
        events.report(Step(step.stage, fraction, step.message))

    child = await start_job(work, on_step)
    return await child.outcome(settings.job_timeout_seconds)

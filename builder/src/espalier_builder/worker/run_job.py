"""The child process of a worker: `python -m espalier_builder.worker.run_job FOLDER` runs the request in the folder.

Standard output carries steps as JSON lines and nothing else; `outcome.json` says how it ended. The process ends as soon
as its standard input closes, which is when the worker is gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from espalier_builder.artifact.whole_folder import whole_folder
from espalier_builder.artifact.write_document import write_document
from espalier_builder.contracts import Recipe
from espalier_builder.device import choose_device
from espalier_builder.failure import BuilderError, machine_failure
from espalier_builder.jobs import Model, run_build, run_kit, run_profile_job, run_search_job, run_sensitivity_job
from espalier_builder.process import keep_freed_memory
from espalier_builder.progress import OnProgress
from espalier_builder.quantize.weight_format import WeightFormat
from espalier_builder.search.front import Floor
from espalier_builder.search.search import FRONT_FILE, Search
from espalier_builder.search.space import Space
from espalier_builder.stages.cache import StageCache
from espalier_builder.text_inputs import TextSettings, TextSource
from espalier_builder.worker.child import OUTCOME_FILE, REQUEST_FILE

_LEAST_INTERVAL_SECONDS = 0.2


def main() -> None:
    steps = _claim_standard_output()
    threading.Thread(target=_end_with_worker, daemon=True).start()
    keep_freed_memory()
    folder = Path(sys.argv[1])
    request = json.loads((folder / REQUEST_FILE).read_text(encoding="utf8"))
    outcome: dict[str, Any]
    try:
        outcome = {"resultDigest": run_request(request, _writer(steps))}
    except BuilderError as error:
        # The job's content is at fault, and it won't change; another builder may have what this one lacks.
        outcome = {"reason": f"{error.code}: {error}", "final": error.code != "EXTRA_MISSING"}
    except Exception as error:
        traceback.print_exc()
        # Another builder may have more memory, or room on its disk.
        known = machine_failure(error)
        outcome = {"reason": f"{known.code if known else type(error).__name__}: {known or error}", "final": False}
    (folder / OUTCOME_FILE).write_text(json.dumps(outcome), encoding="utf8")


def run_request(request: dict[str, Any], on_progress: OnProgress) -> str:
    """The digest of the result, which lies in the request's `outFolder`."""
    job = request["job"]
    cache = StageCache(Path(request["stagesFolder"]))
    folder, device = Path(request["modelFolder"]), choose_device(request["device"])
    model = Model(folder, job["modelDigest"], device, request["modelName"])
    out = Path(request["outFolder"])
    if job["kind"] == "kit":
        formats = tuple(WeightFormat.from_json(value) for value in job["formats"])
        return run_kit(model, formats, cache, out, on_progress)
    text = TextSettings(
        # A profile compresses nothing, so it asks for no calibration.
        calibration=_source(request["calibrationFolder"], job.get("calibrationDigest")),
        evaluation=_source(request["evaluationFolder"], job["evaluationDigest"]),
        calibration_tokens=job.get("calibrationTokens", 0),
        evaluation_tokens=job["evaluationTokens"],
        sequence_length=job["sequenceLength"],
        seed=job["seed"],
    )
    if job["kind"] == "build":
        return run_build(model, Recipe.from_json(job["recipe"]), text, cache, out, on_progress).digest
    if job["kind"] == "profile":
        return run_profile_job(model, text, cache, out, on_progress)
    if job["kind"] == "search":
        return _search(job, model, text, cache, Path(request["stagesFolder"]), out, on_progress)
    candidates = tuple(Recipe.from_json(value) for value in job["candidates"])
    return run_sensitivity_job(model, candidates, text, cache, out, on_progress)


def _search(
    job: dict[str, Any],
    model: Model,
    text: TextSettings,
    cache: StageCache,
    stages: Path,
    out: Path,
    on_progress: OnProgress,
) -> str:
    """Trials are kept beside the stages, so that another attempt goes on where this one is killed."""
    space = Space(tuple(job["methods"]), job["mostSparsity"], job["alignment"], job.get("kvCache"))
    search = Search(space, Floor(job["floor"]["figure"], job["floor"]["limit"]), job["trials"], job["seed"])
    folder = stages / f"search-{job['jobId'].removeprefix('sha256:')}"
    run_search_job(model, search, text, cache, folder, on_progress)
    with whole_folder(out) as work:
        return write_document(
            work / FRONT_FILE, "SensitivityReport", json.loads((folder / FRONT_FILE).read_text("utf8"))
        )


def _source(folder: str | None, digest: str | None) -> TextSource:
    return TextSource() if folder is None else TextSource(Path(folder), digest)


def _claim_standard_output() -> TextIO:
    """Keeps standard output for steps; whatever libraries print goes to standard error."""
    steps = os.fdopen(os.dup(1), "w", encoding="utf8", buffering=1)
    os.dup2(2, 1)
    return steps


def _writer(steps: TextIO) -> OnProgress:
    written_at, stage_before = float("-inf"), ""

    def write(stage: str, fraction: float, message: str) -> None:
        nonlocal written_at, stage_before
        now = time.monotonic()
        if stage == stage_before and fraction < 1 and now - written_at < _LEAST_INTERVAL_SECONDS:
            return
        written_at, stage_before = now, stage
        steps.write(json.dumps({"stage": stage, "fraction": fraction, "message": message}) + "\n")

    return write


def _end_with_worker() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

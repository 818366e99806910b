"""A content-addressed cache of stages.

INVARIANTS: a stage's folder appears under its key only by one atomic rename, after everything in it was written; what
a killed process leaves lies under `unfinished/`, is never read, and goes when a stage of that name is made again; a
finished folder never changes.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from espalier_builder.artifact.work_folder import work_folder
from espalier_builder.contracts import digest_of_json
from espalier_builder.stages.cost import StageCost, measure_cost

COST = "cost.json"


@dataclass(frozen=True, slots=True)
class StageResult:
    """`folder` holds what the stage wrote."""

    folder: Path
    cost: StageCost


class StageCache:
    """Stages by the digest of their name, inputs and code version, under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / "unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)

    def run(self, stage: str, inputs: object, version: str, make: Callable[[Path], None]) -> StageResult:
        """The folder that `make(folder)` fills, made now or earlier.

        `inputs` is JSON that determines the result, with digests for files; `version` is the code's (`code_version`).
        An error in `make` leaves nothing behind and is raised as it is.
        """
        key = digest_of_json({"stage": stage, "inputs": inputs, "version": version}).removeprefix("sha256:")
        final = self._root / f"{stage}-{key}"
        if final.is_dir():
            return StageResult(final, _read_cost(final).as_cached())
        with work_folder(self._unfinished, f"{stage}-") as work:
            with measure_cost() as meter:
                make(work)
            (work / COST).write_text(json.dumps(meter.cost.to_json()), encoding="utf8")
            cost = _place(work, final, meter.cost)
        return StageResult(final, cost)


def _place(work: Path, final: Path, cost: StageCost) -> StageCost:
    try:
        work.rename(final)
    except OSError as error:
        # Another process made the same stage meanwhile: equal inputs, so its result serves as well.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return _read_cost(final).as_cached()
    return cost


def _read_cost(folder: Path) -> StageCost:
    return StageCost.from_json(json.loads((folder / COST).read_text(encoding="utf8")))

"""The stages from a dense model to a pruned one: statistics, what methods measure before they choose, and cuts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from espalier_builder.contracts import Pruning, PruningMethod
from espalier_builder.prune import apply, harm, minillm, statistics
from espalier_builder.prune.apply import Pruned, choose_cut, cut_out
from espalier_builder.prune.cut import load_cut, save_cut, whole
from espalier_builder.prune.harm import Harm, measure_harm
from espalier_builder.prune.minillm import ESTIMATED_METHODS, estimated_scores
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.recover import one_pass
from espalier_builder.recover.one_pass import SavedGrams, dense_grams, save_grams
from espalier_builder.stages import saved_statistics
from espalier_builder.stages.dense_stages import FACTS, TENSORS, DenseStages, Progress, digest_of_rows
from espalier_builder.stages.fitting_batches import in_batches_that_fit
from espalier_builder.stages.saved_statistics import read_statistics, write_statistics


class PruningStages(DenseStages):
    """What is pruned, and what that is chosen by; each made once per content and shared by all levels."""

    def calibration(self, rows: Tensor, seed: int) -> Calibration:
        """`rows` `[N, T]` with the dense model's statistics on them (stage `statistics`); `seed` is passed on."""
        bf16 = calibrates_in_bf16(self._dense.model.device)

        def make(folder: Path) -> None:
            statistics = in_batches_that_fit(lambda: collect_statistics(self._dense.model, rows, bf16=bf16))
            write_statistics(statistics, folder)

        inputs = {"rows": digest_of_rows(rows), "bf16": bf16}
        folder = self._run("statistics", inputs, (statistics, saved_statistics), make)
        return Calibration(rows=rows, statistics=read_statistics(folder), seed=seed)

    def pruned(self, pruning: Pruning, calibration: Calibration, progress: Progress = lambda _: None) -> Pruned:
        """As `prune`; what is chosen, with the tensors that were computed anew, is the stage `cut`."""
        if pruning.method == "none":
            return cut_out(self._dense.model, whole(self._dense.model))

        def make(folder: Path) -> None:
            known = calibration
            if pruning.method == "obs":
                known = replace(calibration, harm=self._harm(calibration.rows))
            elif pruning.method in ESTIMATED_METHODS:
                known = replace(calibration, estimated=self._estimated(pruning.method, calibration, progress))
            if pruning.refit == "one-pass":
                known = replace(known, grams=self._grams(calibration.rows))
            cut = in_batches_that_fit(lambda: choose_cut(self._dense.model, pruning, known, progress))
            save_cut(cut, folder / TENSORS)

        inputs = {
            "rows": digest_of_rows(calibration.rows),
            "seed": calibration.seed,
            "pruning": pruning.to_json(),
            "bf16": calibrates_in_bf16(self._dense.model.device),
        }
        folder = self._run("cut", inputs, (apply,), make)
        return cut_out(self._dense.model, load_cut(folder / TENSORS))

    def _harm(self, rows: Tensor) -> Harm:
        """What each layer's loss does (stage `harm`): the same at every sparsity."""
        bf16 = calibrates_in_bf16(self._dense.model.device)

        def make(folder: Path) -> None:
            measured = in_batches_that_fit(lambda: measure_harm(self._dense.model, rows, bf16=bf16))
            (folder / FACTS).write_text(json.dumps({"widths": measured.widths, "kl": measured.kl}), encoding="utf8")

        inputs = {"rows": digest_of_rows(rows), "bf16": bf16}
        folder = self._run("harm", inputs, (harm,), make)
        facts = json.loads((folder / FACTS).read_text(encoding="utf8"))
        return Harm(tuple(map(tuple, facts["widths"])), tuple(map(tuple, facts["kl"])))

    def _estimated(self, method: PruningMethod, calibration: Calibration, progress: Progress) -> list[Tensor]:
        """Scores by estimated gradients (stage `estimate`), the same at every sparsity."""

        def make(folder: Path) -> None:
            scores = estimated_scores(
                self._dense.model, method, calibration.rows, seed=calibration.seed, progress=progress
            )
            save_file({str(index): score.cpu() for index, score in enumerate(scores)}, folder / TENSORS)

        inputs = {"rows": digest_of_rows(calibration.rows), "seed": calibration.seed, "method": method}
        folder = self._run("estimate", inputs, (minillm,), make)
        scores = load_file(folder / TENSORS)
        return [scores[str(index)] for index in range(len(scores))]

    def _grams(self, rows: Tensor) -> SavedGrams:
        """The dense layers' Gram matrices (stage `grams`), the same for every method and sparsity: a file a layer."""
        bf16 = calibrates_in_bf16(self._dense.model.device)

        def make(folder: Path) -> None:
            in_batches_that_fit(lambda: save_grams(dense_grams(self._dense.model, rows, bf16=bf16), folder))

        inputs = {"rows": digest_of_rows(rows), "bf16": bf16}
        folder = self._run("grams", inputs, (one_pass,), make)
        return SavedGrams(folder, len(self._dense.model.model.layers))

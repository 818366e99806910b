"""The expensive stages between a checkpoint and its levels, each made once per content and shared by all levels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import MixedBits, Pruning, Recipe, digest_of_bytes, digest_of_json
from espalier_builder.evaluate import dense_logits, forward
from espalier_builder.evaluate.dense_logits import DenseLogits, write_dense_logits
from espalier_builder.prune import (
    apply,
    budget,
    cfsp,
    cut,
    decoder,
    depth,
    flap,
    harm,
    magnitude,
    minillm,
    neurons,
    statistics,
    walk,
)
from espalier_builder.prune.apply import Pruned, choose_cut, cut_out
from espalier_builder.prune.cut import load_cut, save_cut, whole
from espalier_builder.prune.harm import Harm, measure_harm
from espalier_builder.prune.mask import barber, choose, pattern, sparsegpt
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.precision import bf16_is_fast
from espalier_builder.prune.statistics import Moments, Statistics, collect_statistics
from espalier_builder.quantize import (
    awq,
    calibrate,
    gptq,
    grid,
    kv_cache,
    mixed,
    qat,
    rtn,
    saved_matrices,
    scaling,
    sequential,
    smoothquant,
)
from espalier_builder.quantize.calibrate import UNSCALED, Calibrated
from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.kv_cache import KvScales, calibrate_kv_cache
from espalier_builder.quantize.mixed import measure_sensitivity, mixed_formats
from espalier_builder.quantize.model import UNCALIBRATED, places
from espalier_builder.quantize.qat import train_quantized
from espalier_builder.quantize.saved_matrices import load_matrices, save_matrices
from espalier_builder.quantize.weight_format import LinearFormats, WeightFormat, linear_format
from espalier_builder.recover import finetune, one_pass, refit, surgeon
from espalier_builder.recover.one_pass import SavedGrams, dense_grams, save_grams
from espalier_builder.stages.cache import StageCache, code_version
from espalier_builder.stages.cost import StageCost
from espalier_builder.stages.fitting_batches import in_batches_that_fit
from espalier_builder.text.windows import EvaluationWindows

Progress = Callable[[float], None]
ENGINES = {"torch": torch.__version__, "transformers": transformers.__version__}
TENSORS = "tensors.safetensors"
SCALES = "scales.safetensors"
FACTS = "facts.json"
# Whatever decides a cut: a change in any of these makes new ones.
_CHOOSING = (
    apply,
    budget,
    cfsp,
    cut,
    decoder,
    depth,
    flap,
    harm,
    magnitude,
    minillm,
    neurons,
    statistics,
    one_pass,
    refit,
    surgeon,
    walk,
)
_MASKING = (barber, choose, pattern, sparsegpt, gptq, walk)
# And whatever decides codes and scales.
_QUANTIZING = (awq, calibrate, gptq, grid, rtn, saved_matrices, scaling, sequential, smoothquant)


@dataclass(frozen=True, slots=True)
class DenseModel:
    """`digest` names the bytes that the model was read from."""

    model: DecoderModel
    digest: str


class ModelStages:
    """Stages of one dense model; `costs` collects what those that ran, or were served, cost."""

    def __init__(self, cache: StageCache, dense: DenseModel) -> None:
        self._cache = cache
        self._dense = dense
        self.costs: list[tuple[str, StageCost]] = []

    def calibration(self, rows: Tensor, seed: int) -> Calibration:
        """`rows` `[N, T]` with the dense model's statistics on them (stage `statistics`); `seed` is passed on."""
        bf16 = bf16_is_fast()

        def make(folder: Path) -> None:
            statistics = in_batches_that_fit(lambda: collect_statistics(self._dense.model, rows, bf16=bf16))
            _write_statistics(statistics, folder)

        inputs = {"model": self._dense.digest, "rows": digest_of_rows(rows), "bf16": bf16, "engines": ENGINES}
        result = self._cache.run("statistics", inputs, code_version(statistics, decoder), make)
        self.costs.append(("statistics", result.cost))
        return Calibration(rows=rows, statistics=_read_statistics(result.folder), seed=seed)

    def pruned(self, pruning: Pruning, calibration: Calibration, progress: Progress = lambda _: None) -> Pruned:
        """As `prune`; what is chosen, with the tensors that were computed anew, is the stage `cut`."""
        if pruning.method == "none":
            return cut_out(self._dense.model, whole(self._dense.model))

        def make(folder: Path) -> None:
            known = calibration
            if pruning.method == "obs":
                known = replace(calibration, harm=self._harm(calibration.rows))
            elif pruning.refit == "one-pass":
                known = replace(calibration, grams=self._grams(calibration.rows))
            cut = in_batches_that_fit(lambda: choose_cut(self._dense.model, pruning, known, progress))
            save_cut(cut, folder / TENSORS)

        inputs = {
            "model": self._dense.digest,
            "rows": digest_of_rows(calibration.rows),
            "seed": calibration.seed,
            "pruning": pruning.to_json(),
            "bf16": bf16_is_fast(),
            "engines": ENGINES,
        }
        result = self._cache.run("cut", inputs, code_version(*_CHOOSING, *_MASKING), make)
        self.costs.append(("cut", result.cost))
        return cut_out(self._dense.model, load_cut(result.folder / TENSORS))

    def _harm(self, rows: Tensor) -> Harm:
        """What each layer's loss does (stage `harm`): the same at every sparsity."""
        bf16 = bf16_is_fast()

        def make(folder: Path) -> None:
            measured = in_batches_that_fit(lambda: measure_harm(self._dense.model, rows, bf16=bf16))
            (folder / FACTS).write_text(json.dumps({"widths": measured.widths, "kl": measured.kl}), encoding="utf8")

        inputs = {"model": self._dense.digest, "rows": digest_of_rows(rows), "bf16": bf16, "engines": ENGINES}
        result = self._cache.run("harm", inputs, code_version(harm, decoder, refit, surgeon), make)
        self.costs.append(("harm", result.cost))
        facts = json.loads((result.folder / FACTS).read_text(encoding="utf8"))
        return Harm(tuple(map(tuple, facts["widths"])), tuple(map(tuple, facts["kl"])))

    def _grams(self, rows: Tensor) -> SavedGrams:
        """The dense layers' Gram matrices (stage `grams`), the same for every method and sparsity: a file a layer."""
        bf16 = bf16_is_fast()

        def make(folder: Path) -> None:
            in_batches_that_fit(lambda: save_grams(dense_grams(self._dense.model, rows, bf16=bf16), folder))

        inputs = {"model": self._dense.digest, "rows": digest_of_rows(rows), "bf16": bf16, "engines": ENGINES}
        result = self._cache.run("grams", inputs, code_version(one_pass, decoder, refit), make)
        self.costs.append(("grams", result.cost))
        return SavedGrams(result.folder, len(self._dense.model.model.layers))

    def quantized(
        self,
        pruned: DecoderModel,
        recipe: Recipe,
        rows: Callable[[], Tensor],
        seed: int,
        progress: Progress = lambda _: None,
    ) -> Calibrated:
        """What calibration on `rows()` `[N, T]` makes of `pruned`, which `recipe` prunes to (stage `quantize`).

        Formats alone for a quantizer that rounds each matrix by itself. Accuracy levels share their weights.
        """
        method = recipe.quantization.method
        if method == "qat":
            return self._trained(pruned, recipe, rows, seed, progress)
        formats = self._formats(pruned, recipe, rows)
        if method in ("none", "rtn"):
            return Calibrated(UNSCALED, UNCALIBRATED, formats)
        calibration, bf16 = rows(), bf16_is_fast()

        def make(folder: Path) -> None:
            made = in_batches_that_fit(
                lambda: calibrate.calibrate(pruned, calibration, formats, method, bf16=bf16, progress=progress)
            )
            save_matrices(made.matrices, folder / TENSORS)
            save_file({name: scale.cpu() for name, scale in made.scales.items()}, folder / SCALES)

        inputs = {
            "model": self._dense.digest,
            "rows": digest_of_rows(calibration),
            "seed": seed,
            "pruning": recipe.pruning.to_json(),
            "method": method,
            "grid": _grid(formats.main),
            "wide": sorted(place for place in places(pruned) if formats.of(place) != formats.main),
            "bf16": bf16,
            "engines": ENGINES,
        }
        result = self._cache.run("quantize", inputs, code_version(*_CHOOSING, *_MASKING, *_QUANTIZING), make)
        self.costs.append(("quantize", result.cost))
        scales = load_file(result.folder / SCALES, device=str(pruned.device))
        return Calibrated(scales, load_matrices(result.folder / TENSORS, formats), formats)

    def _formats(self, pruned: DecoderModel, recipe: Recipe, rows: Callable[[], Tensor]) -> LinearFormats:
        """What `recipe` asks of the linears; where it leaves the choice, by their sensitivity (stage `sensitivity`)."""
        quantization = recipe.quantization
        narrow = linear_format(quantization)
        if not isinstance(quantization.bits, MixedBits):
            return narrow
        calibration = rows()

        def make(folder: Path) -> None:
            found = in_batches_that_fit(lambda: measure_sensitivity(pruned, calibration, narrow))
            (folder / FACTS).write_text(json.dumps(found), encoding="utf8")

        inputs = {
            "model": self._dense.digest,
            "rows": digest_of_rows(calibration),
            "pruning": recipe.pruning.to_json(),
            "grid": _grid(narrow),
            "engines": ENGINES,
        }
        version = code_version(*_CHOOSING, *_MASKING, grid, rtn, mixed)
        result = self._cache.run("sensitivity", inputs, version, make)
        self.costs.append(("sensitivity", result.cost))
        sensitivity = json.loads((result.folder / FACTS).read_text(encoding="utf8"))
        return mixed_formats(pruned, sensitivity, narrow, quantization.bits.average)

    def _trained(
        self, pruned: DecoderModel, recipe: Recipe, rows: Callable[[], Tensor], seed: int, progress: Progress
    ) -> Calibrated:
        """What GPTQ makes of `pruned`, trained towards the dense model's logits (stage `train`)."""
        calibrated = replace(recipe, quantization=replace(recipe.quantization, method="gptq"))
        made = self.quantized(pruned, calibrated, rows, seed, lambda done: progress(0.2 * done))
        start, text = made.matrices, rows()

        def make(folder: Path) -> None:
            trained, curve = in_batches_that_fit(
                lambda: train_quantized(
                    pruned, self._dense.model, start, text, progress=lambda done: progress(0.2 + 0.8 * done)
                )
            )
            save_matrices(trained, folder / TENSORS)
            (folder / FACTS).write_text(json.dumps([asdict(point) for point in curve]), encoding="utf8")

        inputs = {
            "model": self._dense.digest,
            "start": digest_of_json({name: _digest_of_matrix(matrix) for name, matrix in start.items()}),
            "rows": digest_of_rows(text),
            "engines": ENGINES,
        }
        result = self._cache.run("train", inputs, code_version(qat, finetune, grid, saved_matrices), make)
        self.costs.append(("train", result.cost))
        return Calibrated(UNSCALED, load_matrices(result.folder / TENSORS, made.formats), made.formats)

    def kv_scales(
        self, quantized: DecoderModel, recipe: Recipe, rows: Tensor, seed: int, progress: Progress = lambda _: None
    ) -> KvScales:
        """For the cache of `quantized`, what `recipe` makes of the model, from rows `[N, T]` (stage `kv-cache`)."""
        bf16 = bf16_is_fast()

        def make(folder: Path) -> None:
            made = in_batches_that_fit(lambda: calibrate_kv_cache(quantized, rows, bf16=bf16, progress=progress))
            (folder / FACTS).write_text(json.dumps(made.to_json()), encoding="utf8")

        inputs = {
            "model": self._dense.digest,
            "rows": digest_of_rows(rows),
            "seed": seed,
            "recipe": recipe.to_json(),
            "bf16": bf16,
            "engines": ENGINES,
        }
        version = code_version(*_CHOOSING, *_MASKING, *_QUANTIZING, qat, finetune, kv_cache)
        result = self._cache.run("kv-cache", inputs, version, make)
        self.costs.append(("kv-cache", result.cost))
        return KvScales.from_json(json.loads((result.folder / FACTS).read_text(encoding="utf8")))

    def dense_logits(self, windows: EvaluationWindows, progress: Progress = lambda _: None) -> DenseLogits:
        """The dense model's logits on `windows` (stage `dense-logits`)."""
        ids = [digest_of_rows(window.inputs) + digest_of_rows(window.positions) for window in windows.windows]
        inputs = {"model": self._dense.digest, "windows": digest_of_json(ids), "engines": ENGINES}
        result = self._cache.run(
            "dense-logits",
            inputs,
            code_version(dense_logits, forward),
            lambda folder: write_dense_logits(self._dense.model, windows, folder, progress),
        )
        self.costs.append(("dense-logits", result.cost))
        return DenseLogits(result.folder, windows)


def _grid(weight_format: WeightFormat) -> list[Any]:
    return [weight_format.bits, weight_format.block_size, weight_format.symmetric]


def _digest_of_matrix(matrix: QuantizedMatrix) -> str:
    parts = (matrix.codes, matrix.scales, matrix.zero_points)
    return digest_of_bytes(b"".join(part.cpu().numpy().tobytes() for part in parts if part is not None))


def digest_of_rows(rows: Tensor) -> str:
    """The content address of token ids and their shape."""
    return digest_of_json([list(rows.shape), digest_of_bytes(rows.contiguous().numpy().tobytes())])


def _write_statistics(value: Statistics, folder: Path) -> None:
    tensors = {"last_states": value.last_states}
    for name, moments in (("ffn", value.ffn), ("attention", value.attention)):
        for index, each in enumerate(moments):
            tensors |= {f"{name}.{index}.mean": each.mean, f"{name}.{index}.variance": each.variance}
    save_file(tensors, folder / TENSORS)
    facts = {"angles": value.angles, "influences": value.influences, "rows": value.rows, "tokens": value.tokens}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf8")


def _read_statistics(folder: Path) -> Statistics:
    tensors = load_file(folder / TENSORS)
    facts = json.loads((folder / FACTS).read_text(encoding="utf8"))

    def moments(name: str) -> tuple[Moments, ...]:
        layers = range(len(facts["angles"]))
        return tuple(Moments(tensors[f"{name}.{at}.mean"], tensors[f"{name}.{at}.variance"]) for at in layers)

    return Statistics(
        ffn=moments("ffn"),
        attention=moments("attention"),
        angles=tuple(facts["angles"]),
        influences=tuple(facts["influences"]),
        last_states=tensors["last_states"],
        rows=facts["rows"],
        tokens=facts["tokens"],
    )

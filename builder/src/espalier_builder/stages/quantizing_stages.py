"""The stages from a pruned model to what is stored of it: formats, codes and scales, and scales of the KV cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import MixedBits, Recipe, digest_of_bytes, digest_of_json
from espalier_builder.prune import apply
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.quantize import calibrate, kv_cache, mixed, qat, saved_matrices
from espalier_builder.quantize.calibrate import UNSCALED, Calibrated
from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.kv_cache import KvScales, calibrate_kv_cache
from espalier_builder.quantize.mixed import measure_sensitivity, mixed_formats
from espalier_builder.quantize.model import UNCALIBRATED, places
from espalier_builder.quantize.qat import train_quantized
from espalier_builder.quantize.saved_matrices import load_matrices, save_matrices
from espalier_builder.quantize.weight_format import LinearFormats, WeightFormat, linear_format
from espalier_builder.stages.dense_stages import FACTS, TENSORS, DenseStages, Progress, digest_of_rows
from espalier_builder.stages.fitting_batches import in_batches_that_fit

_SCALES = "scales.safetensors"


class QuantizingStages(DenseStages):
    """What calibration makes of a model that a recipe prunes to; each made once per content."""

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
        formats = self._formats(pruned, recipe, rows, seed)
        if method in ("none", "rtn"):
            return Calibrated(UNSCALED, UNCALIBRATED, formats)
        calibration, bf16 = rows(), calibrates_in_bf16(pruned.device)

        def make(folder: Path) -> None:
            made = in_batches_that_fit(
                lambda: calibrate.calibrate(pruned, calibration, formats, method, bf16=bf16, progress=progress)
            )
            save_matrices(made.matrices, folder / TENSORS)
            save_file({name: scale.cpu() for name, scale in made.scales.items()}, folder / _SCALES)

        inputs = self._of_pruned(recipe, calibration, seed) | {
            "method": method,
            "grid": _grid(formats.main),
            "wide": sorted(place for place in places(pruned) if formats.of(place) != formats.main),
        }
        folder = self._run("quantize", inputs, (apply, calibrate, saved_matrices), make)
        scales = load_file(folder / _SCALES, device=str(pruned.device))
        return Calibrated(scales, load_matrices(folder / TENSORS, formats), formats)

    def _formats(self, pruned: DecoderModel, recipe: Recipe, rows: Callable[[], Tensor], seed: int) -> LinearFormats:
        """What `recipe` asks of the linears; where it leaves the choice, by their sensitivity (stage `sensitivity`)."""
        quantization = recipe.quantization
        narrow = linear_format(quantization)
        if not isinstance(quantization.bits, MixedBits):
            return narrow
        calibration = rows()

        def make(folder: Path) -> None:
            found = in_batches_that_fit(lambda: measure_sensitivity(pruned, calibration, narrow))
            (folder / FACTS).write_text(json.dumps(found), encoding="utf8")

        inputs = self._of_pruned(recipe, calibration, seed) | {"grid": _grid(narrow)}
        folder = self._run("sensitivity", inputs, (apply, mixed), make)
        sensitivity = json.loads((folder / FACTS).read_text(encoding="utf8"))
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

        inputs = self._of_pruned(recipe, text, seed) | {
            "start": digest_of_json({name: _digest_of_matrix(matrix) for name, matrix in start.items()})
        }
        folder = self._run("train", inputs, (apply, qat, saved_matrices), make)
        return Calibrated(UNSCALED, load_matrices(folder / TENSORS, made.formats), made.formats)

    def kv_scales(
        self, quantized: DecoderModel, recipe: Recipe, rows: Tensor, seed: int, progress: Progress = lambda _: None
    ) -> KvScales:
        """For the cache of `quantized`, what `recipe` makes of the model, from rows `[N, T]` (stage `kv-cache`)."""
        bf16 = calibrates_in_bf16(quantized.device)

        def make(folder: Path) -> None:
            made = in_batches_that_fit(lambda: calibrate_kv_cache(quantized, rows, bf16=bf16, progress=progress))
            (folder / FACTS).write_text(json.dumps(made.to_json()), encoding="utf8")

        inputs = self._of_pruned(recipe, rows, seed) | {"recipe": recipe.to_json()}
        folder = self._run("kv-cache", inputs, (apply, calibrate, mixed, qat, kv_cache), make)
        return KvScales.from_json(json.loads((folder / FACTS).read_text(encoding="utf8")))

    def _of_pruned(self, recipe: Recipe, rows: Tensor, seed: int) -> dict[str, Any]:
        """What a pruned model is made from beside the dense one, `rows` having calibrated it too."""
        return {
            "rows": digest_of_rows(rows),
            "seed": seed,
            "pruning": recipe.pruning.to_json(),
            "bf16": calibrates_in_bf16(self._dense.model.device),
        }


def _grid(weight_format: WeightFormat) -> list[Any]:
    return [weight_format.bits, weight_format.block_size, weight_format.symmetric]


def _digest_of_matrix(matrix: QuantizedMatrix) -> str:
    parts = (matrix.codes, matrix.scales, matrix.zero_points)
    return digest_of_bytes(b"".join(part.cpu().numpy().tobytes() for part in parts if part is not None))

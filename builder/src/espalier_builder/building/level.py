"""From the dense model to what a recipe makes of it, judged in PyTorch after every stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from espalier_builder.artifact.report import ReportRow
from espalier_builder.building.build_log import BuildLog, BuildRequest, Yardstick, calibrates
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.evaluate.model import evaluate_model, evaluate_reference
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.prune.apply import Pruned
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.statistics import Statistics
from espalier_builder.quantize.kv_cache import KvScales
from espalier_builder.quantize.model import Matrices, dequantized, places
from espalier_builder.quantize.weight_format import MixedFormats, VariantFormats, variant_formats
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.rows import control_rows
from espalier_builder.text_inputs import TextInputs


@dataclass(frozen=True, slots=True)
class Level:
    """What is exported: `model`, pruned and with what quantization folds into it, in these formats; `kv_scales` where
    its cache is int8."""

    model: DecoderModel
    formats: VariantFormats
    matrices: Matrices
    kv_scales: KvScales | None
    achieved_sparsity: float


class LevelMaker:
    """The stages of one build before anything is exported."""

    def __init__(self, request: BuildRequest, stages: ModelStages, texts: TextInputs, log: BuildLog) -> None:
        self._request = request
        self._recipe = request.recipe
        self._dense = request.checkpoint.model
        self._stages = stages
        self._texts = texts
        self._log = log

    def yardstick(self) -> Yardstick:
        """The evaluation text, and the dense model's logits on it."""
        self._log.begin("text", "reading the evaluation text")
        text = self._texts.evaluation()
        tell = self._log.begin("dense", "evaluating the dense model")
        reference = self._stages.dense_logits(text.windows, tell)
        parameters = spec_of(self._dense).parameters
        quality = evaluate_reference(text.windows, reference)
        self._log.rows.append(ReportRow("dense", quality, parameters, 4 * parameters))
        return Yardstick(text, reference)

    def make(self, yardstick: Yardstick) -> Level:
        """Raises BuilderError for a recipe that can't be followed."""
        pruned = self._prune(yardstick)
        model, formats, matrices = self._quantize(pruned.model)
        kv_scales = None
        if self._recipe.quantization.method != "none" or self._recipe.kv_cache is not None:
            quantized = self._log.measured("round", lambda: dequantized(model, formats, matrices))
            kv_scales = self._calibrate_cache(quantized)
            self._evaluate_quantized(quantized, formats, kv_scales, yardstick)
        return Level(model, formats, matrices, kv_scales, pruned.achieved_sparsity)

    @cached_property
    def _calibration_rows(self) -> Tensor:
        return self._texts.calibration()

    def _prune(self, yardstick: Yardstick) -> Pruned:
        pruning = self._recipe.pruning
        if pruning.method == "none":
            return Pruned(self._dense, 0.0)
        tell = self._log.begin("prune", f"pruning by {pruning.method}")
        if pruning.method == "tail" and not pruning.refit:
            calibration = _NO_CALIBRATION
        else:
            calibration = self._stages.calibration(self._calibration_rows, self._request.text.seed)
        pruned = self._log.measured("prune", lambda: self._stages.pruned(pruning, calibration, tell))
        tell = self._log.begin("evaluate-pruned", "evaluating the pruned model")
        windows, reference = yardstick.text.windows, yardstick.reference
        quality = self._log.measured("evaluate-pruned", lambda: evaluate_model(pruned.model, windows, reference, tell))
        parameters = spec_of(pruned.model).parameters
        self._log.rows.append(ReportRow("pruned", quality, parameters, 4 * parameters))
        return pruned

    def _quantize(self, pruned: DecoderModel) -> tuple[DecoderModel, VariantFormats, Matrices]:
        method, seed = self._recipe.quantization.method, self._request.text.seed
        tell = self._log.begin("quantize", f"quantizing by {method}") if calibrates(self._recipe) else _at_once
        made = self._stages.quantized(pruned, self._recipe, lambda: self._calibration_rows, seed, tell)
        if isinstance(made.formats, MixedFormats):
            widened, every = len(made.formats.widened), len(places(pruned))
            self._log.notes.append(
                f"{widened} of {every} matrices have 8 bits, the others 4: those that the model needs most."
            )
        formats = variant_formats(made.formats, self._dense.config.hidden_size)
        return made.scaled(pruned), formats, made.matrices

    def _calibrate_cache(self, quantized: DecoderModel) -> KvScales | None:
        """Scales for the variant's own keys and values; None where none are asked for."""
        if self._recipe.kv_cache is None:
            return None
        tell = self._log.begin("kv-cache", "calibrating the KV cache")
        rows = self._calibration_rows
        rows = torch.cat([rows, control_rows(self._request.checkpoint.tokenizer, rows)])
        self._log.notes.append(
            "Keys and values are rounded to int8 in the figures of the stages quantized and exported, in the answers "
            "and in the probe set: so compute devices whose kernels keep such a cache. Others keep floats."
        )
        return self._stages.kv_scales(quantized, self._recipe, rows, self._request.text.seed, tell)

    def _evaluate_quantized(
        self, quantized: DecoderModel, formats: VariantFormats, kv_scales: KvScales | None, yardstick: Yardstick
    ) -> None:
        """What the quantized weights and cache are worth in PyTorch: apart from the kernels that will run them."""
        tell = self._log.begin("evaluate-quantized", "evaluating the quantized weights")
        windows, reference = yardstick.text.windows, yardstick.reference
        quality = self._log.measured(
            "evaluate-quantized", lambda: evaluate_model(quantized, windows, reference, tell, kv_scales)
        )
        spec = spec_of(quantized)
        self._log.rows.append(ReportRow("quantized", quality, spec.parameters, lay_out(spec, formats).total_bytes))


def _at_once(_share: float) -> None:
    """Rounding takes no time worth telling."""


# Dropping the last layers alone asks nothing of any text.
_NO_CALIBRATION = Calibration(
    rows=torch.empty((0, 0), dtype=torch.long),
    statistics=Statistics(ffn=(), attention=(), angles=(), influences=(), last_states=torch.empty(0), rows=0, tokens=0),
)

"""Builds one variant: prune, quantize, export, evaluate what was exported, and list it all in a manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch

from espalier_builder.accuracy_level import settle_accuracy_level
from espalier_builder.artifact.answers import sample_answers
from espalier_builder.artifact.chat_config import chat_config, write_tokenizer
from espalier_builder.artifact.manifest import (
    CHAT_FILE,
    KV_CACHE_FILE,
    PROBE_FILE,
    REPORT_FILE,
    Lineage,
    write_manifest,
)
from espalier_builder.artifact.probe import record_probe
from espalier_builder.artifact.probe_prompts import probe_prompts
from espalier_builder.artifact.report import EvaluationText, ReportRow, evaluation_report
from espalier_builder.artifact.whole_folder import whole_folder
from espalier_builder.artifact.write_document import write_document
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import MixedBits, Recipe
from espalier_builder.evaluate.dense_logits import DenseLogits
from espalier_builder.evaluate.model import evaluate_model, evaluate_reference
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.weight_layout import WEIGHTS_FILE, lay_out
from espalier_builder.export.write_graph import ExportedGraph, write_graph
from espalier_builder.onnx_evaluate.as_devices_run import as_devices_run, without_rounding
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.onnx_evaluate.evaluate import ExportedFigures, evaluate_exported
from espalier_builder.progress import OnProgress, StageProgress, no_progress, only
from espalier_builder.prune.apply import Pruned
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.statistics import Statistics
from espalier_builder.quantize.kv_cache import KvScales
from espalier_builder.quantize.model import Matrices, dequantized, places
from espalier_builder.quantize.weight_format import MixedFormats, VariantFormats, variant_formats
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.cost import StageCost, measure_cost
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.rows import control_rows
from espalier_builder.text_inputs import TextInputs, TextSettings

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """`model_digest` names what `checkpoint` was read from."""

    checkpoint: Checkpoint
    model_digest: str
    recipe: Recipe
    text: TextSettings


@dataclass(frozen=True, slots=True)
class BuiltVariant:
    """`digest` is that of the manifest, hence of the artifact."""

    digest: str
    report: dict[str, Any]


def build(request: BuildRequest, cache: StageCache, out: Path, on_progress: OnProgress = no_progress) -> BuiltVariant:
    """Writes the artifact into the folder `out`, which appears only when it is complete and must not exist before.

    Raises BuilderError for a checkpoint, recipe or text that can't be built from.
    """
    with whole_folder(out) as work:
        return _Build(request, cache, work, on_progress).run()


@dataclass(frozen=True, slots=True)
class _Weights:
    """What is exported: `model`, pruned and with what quantization folds into it, in these formats."""

    model: DecoderModel
    formats: VariantFormats
    matrices: Matrices


class _Build:
    """One build, stage after stage; `costs`, `rows` and `notes` grow into the report."""

    def __init__(self, request: BuildRequest, cache: StageCache, folder: Path, on_progress: OnProgress) -> None:
        self._request = request
        self._folder = folder
        self._dense = request.checkpoint.model
        self._stages = ModelStages(cache, DenseModel(self._dense, request.model_digest))
        self._texts = TextInputs(request.checkpoint, request.model_digest, request.text, cache)
        self._costs: list[tuple[str, StageCost]] = []
        self._rows: list[ReportRow] = []
        self._notes: list[str] = list(request.checkpoint.notes)
        prunes, quantizes = request.recipe.pruning.method != "none", request.recipe.quantization.method != "none"
        rounds_cache = request.recipe.kv_cache is not None
        quantization = request.recipe.quantization
        self._calibrates = quantization.method not in ("none", "rtn") or isinstance(quantization.bits, MixedBits)
        weights = only(
            [
                ("text", 1, True),
                ("dense", 6, True),
                ("prune", 10, prunes),
                ("evaluate-pruned", 5, prunes),
                ("quantize", 20, self._calibrates),
                ("kv-cache", 8, rounds_cache),
                ("evaluate-quantized", 6, quantizes or rounds_cache),
                ("export", 2, True),
                ("accuracy-level", 4, quantizes),
                ("evaluate-exported", 5, True),
                ("probe", 4, True),
                ("manifest", 1, True),
            ]
        )
        self._progress = StageProgress(weights, on_progress)

    def run(self) -> BuiltVariant:
        recipe = self._request.recipe
        text = self._texts_of_evaluation()
        reference = self._evaluate_dense(text)
        pruned = self._prune(text, reference)
        weights = self._quantize(pruned)
        kv_scales = None
        if recipe.quantization.method != "none" or recipe.kv_cache is not None:
            quantized = self._measured("round", lambda: dequantized(weights.model, weights.formats, weights.matrices))
            kv_scales = self._calibrate_cache(quantized)
            self._evaluate_quantized(quantized, weights.formats, kv_scales, text, reference)
        exported = self._export(weights, text)
        variant = as_devices_run(exported, self._folder, kv_scales)
        figures = self._evaluate_exported(variant, exported, text, reference)
        answers = self._write_companions(variant, without_rounding(exported, self._folder), text)
        report = self._write_report(text, pruned, figures, answers)
        return BuiltVariant(self._write_manifest(exported, text), report)

    def _texts_of_evaluation(self) -> EvaluationText:
        self._progress.of("text", "reading the evaluation text")
        return self._texts.evaluation()

    def _evaluate_dense(self, text: EvaluationText) -> DenseLogits:
        tell = self._progress.of("dense", "evaluating the dense model")
        reference = self._stages.dense_logits(text.windows, tell)
        spec = spec_of(self._dense)
        quality = evaluate_reference(text.windows, reference)
        self._rows.append(ReportRow("dense", quality, spec.parameters, 4 * spec.parameters))
        return reference

    def _prune(self, text: EvaluationText, reference: DenseLogits) -> Pruned:
        pruning = self._request.recipe.pruning
        if pruning.method == "none":
            return Pruned(self._dense, 0.0)
        tell = self._progress.of("prune", f"pruning by {pruning.method}")
        if pruning.method == "tail":
            calibration = _NO_CALIBRATION
        else:
            calibration = self._stages.calibration(self._calibration_rows, self._request.text.seed)
        pruned = self._measured("prune", lambda: self._stages.pruned(pruning, calibration, tell))
        tell = self._progress.of("evaluate-pruned", "evaluating the pruned model")
        quality = self._measured("evaluate-pruned", lambda: evaluate_model(pruned.model, text.windows, reference, tell))
        parameters = spec_of(pruned.model).parameters
        self._rows.append(ReportRow("pruned", quality, parameters, 4 * parameters))
        return pruned

    @cached_property
    def _calibration_rows(self) -> torch.Tensor:
        return self._texts.calibration()

    def _quantize(self, pruned: Pruned) -> _Weights:
        recipe, seed = self._request.recipe, self._request.text.seed
        tell = (
            self._progress.of("quantize", f"quantizing by {recipe.quantization.method}") if self._calibrates else None
        )
        made = self._stages.quantized(
            pruned.model, recipe, lambda: self._calibration_rows, seed, tell or (lambda _share: None)
        )
        if isinstance(made.formats, MixedFormats):
            widened, every = len(made.formats.widened), len(places(pruned.model))
            self._notes.append(
                f"{widened} of {every} matrices have 8 bits, the others 4: those that the model needs most."
            )
        formats = variant_formats(made.formats, self._dense.config.hidden_size)
        return _Weights(made.scaled(pruned.model), formats, made.matrices)

    def _calibrate_cache(self, quantized: DecoderModel) -> KvScales | None:
        """Scales for the variant's own keys and values, written into the artifact; None where none are asked for."""
        recipe, seed = self._request.recipe, self._request.text.seed
        if recipe.kv_cache is None:
            return None
        tell = self._progress.of("kv-cache", "calibrating the KV cache")
        rows = self._calibration_rows
        rows = torch.cat([rows, control_rows(self._request.checkpoint.tokenizer, rows)])
        scales = self._stages.kv_scales(quantized, recipe, rows, seed, tell)
        write_document(self._folder / KV_CACHE_FILE, "KvCacheScales", scales.to_json())
        self._notes.append(
            "Keys and values are rounded to int8 in the figures of the stages quantized and exported, in the answers "
            "and in the probe set: so compute devices whose kernels keep such a cache. Others keep floats."
        )
        return scales

    def _evaluate_quantized(
        self,
        quantized: DecoderModel,
        formats: VariantFormats,
        kv_scales: KvScales | None,
        text: EvaluationText,
        reference: DenseLogits,
    ) -> None:
        """What the quantized weights and cache are worth in PyTorch: apart from the kernels that will run them."""
        tell = self._progress.of("evaluate-quantized", "evaluating the quantized weights")
        quality = self._measured(
            "evaluate-quantized", lambda: evaluate_model(quantized, text.windows, reference, tell, kv_scales)
        )
        spec = spec_of(quantized)
        self._rows.append(ReportRow("quantized", quality, spec.parameters, lay_out(spec, formats).total_bytes))

    def _export(self, weights: _Weights, text: EvaluationText) -> ExportedGraph:
        tell = self._progress.of("export", "writing the graph and its weights")
        model, formats, matrices = weights.model, weights.formats, weights.matrices
        exported = self._measured("export", lambda: write_graph(model, formats, self._folder, tell, matrices))
        if not formats.linear.main.quantized:
            return exported
        self._progress.of("accuracy-level", "comparing the accuracy levels of the kernels")
        decision = self._measured("accuracy-level", lambda: settle_accuracy_level(exported, self._folder, text.windows))
        if decision is None:
            return exported
        self._notes.append(decision.note)
        return decision.exported

    def _evaluate_exported(
        self, variant: OnnxDecoder, exported: ExportedGraph, text: EvaluationText, reference: DenseLogits
    ) -> ExportedFigures:
        tell = self._progress.of("evaluate-exported", "evaluating the exported files in ONNX Runtime")
        figures = self._measured("evaluate-exported", lambda: evaluate_exported(variant, text.windows, reference, tell))
        size = sum((self._folder / name).stat().st_size for name in (GRAPH_FILE, WEIGHTS_FILE))
        self._rows.append(ReportRow("exported", figures.quality, exported.spec.parameters, size))
        return figures

    def _write_companions(self, variant: OnnxDecoder, exact: OnnxDecoder, text: EvaluationText) -> list[dict[str, Any]]:
        """Returns `answers` of the report, to the prompts of the probe set."""
        self._progress.of("probe", "recording the probe set")
        checkpoint = self._request.checkpoint
        prompts = probe_prompts(text.windows)
        context_length = self._dense.config.max_position_embeddings
        answers = self._measured(
            "answers", lambda: sample_answers(variant, checkpoint.tokenizer, prompts, context_length)
        )
        probe = self._measured("probe", lambda: record_probe(checkpoint.model, variant, exact, prompts))
        write_document(self._folder / PROBE_FILE, "Probe", probe)
        write_tokenizer(checkpoint.tokenizer, self._folder)
        write_document(self._folder / CHAT_FILE, "ChatConfig", chat_config(checkpoint))
        return answers

    def _write_report(
        self, text: EvaluationText, pruned: Pruned, figures: ExportedFigures, answers: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self._progress.of("manifest", "listing the files")
        costs = [*self._texts.costs, *self._stages.costs, *self._costs]
        notes = [*self._notes, *self._texts.notes]
        report = evaluation_report(
            self._request.recipe, self._rows, figures, answers, text, costs, notes, pruned.achieved_sparsity
        )
        write_document(self._folder / REPORT_FILE, "EvaluationReport", report)
        return report

    def _write_manifest(self, exported: ExportedGraph, text: EvaluationText) -> str:
        request = self._request
        lineage = Lineage(
            model_digest=request.model_digest,
            calibration_digest=request.text.calibration.digest,
            evaluation_digest=text.digest,
            seed=request.text.seed,
        )
        return write_manifest(
            self._folder,
            recipe=request.recipe,
            model_name=request.checkpoint.name,
            lineage=lineage,
            exported=exported,
        )

    def _measured(self, stage: str, work: Callable[[], Result]) -> Result:
        with measure_cost() as meter:
            result = work()
        self._costs.append((stage, meter.cost))
        return result


# Dropping the last layers asks nothing of any text.
_NO_CALIBRATION = Calibration(
    rows=torch.empty((0, 0), dtype=torch.long),
    statistics=Statistics(ffn=(), attention=(), angles=(), influences=(), last_states=torch.empty(0), rows=0, tokens=0),
)

"""From a level to the files that ship it, judged in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from espalier_builder.artifact.write_document import write_document
from espalier_builder.building.build_log import BuildLog, BuildRequest, Yardstick
from espalier_builder.building.level import Level
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.weight_layout import WEIGHTS_FILE
from espalier_builder.export.write_graph import ExportedGraph, write_graph
from espalier_builder.onnx_evaluate.as_devices_run import as_devices_run, without_rounding
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.onnx_evaluate.evaluate import ExportedFigures, evaluate_exported


@dataclass(frozen=True, slots=True)
class BuiltVariant:
    """`digest` is that of the manifest, hence of the artifact."""

    digest: str
    report: dict[str, Any]


class ArtifactWriter:
    """Writes one artifact into `folder`, which is there and empty."""

    def __init__(self, request: BuildRequest, folder: Path, log: BuildLog) -> None:
        self._request = request
        self._folder = folder
        self._log = log

    def write(self, level: Level, yardstick: Yardstick) -> BuiltVariant:
        """Raises BuilderError for a model that the graph can't express, or whose files don't compute numbers."""
        exported = self._export(level, yardstick.text)
        if level.kv_scales is not None:
            write_document(self._folder / KV_CACHE_FILE, "KvCacheScales", level.kv_scales.to_json())
        variant = as_devices_run(exported, self._folder, level.kv_scales)
        figures = self._evaluate(variant, exported, yardstick)
        answers = self._write_companions(variant, without_rounding(exported, self._folder), yardstick.text)
        self._log.begin("manifest", "listing the files")
        report = evaluation_report(
            self._request.recipe,
            self._log.rows,
            figures,
            answers,
            yardstick.text,
            self._log.costs,
            self._log.notes,
            level.achieved_sparsity,
        )
        write_document(self._folder / REPORT_FILE, "EvaluationReport", report)
        return BuiltVariant(self._write_manifest(exported, yardstick.text), report)

    def _export(self, level: Level, text: EvaluationText) -> ExportedGraph:
        tell = self._log.begin("export", "writing the graph and its weights")
        exported = self._log.measured(
            "export", lambda: write_graph(level.model, level.formats, self._folder, tell, level.matrices)
        )
        if not level.formats.linear.main.quantized:
            return exported
        self._log.begin("accuracy-level", "comparing the accuracy levels of the kernels")
        decision = self._log.measured(
            "accuracy-level", lambda: settle_accuracy_level(exported, self._folder, text.windows)
        )
        if decision is None:
            return exported
        self._log.notes.append(decision.note)
        return decision.exported

    def _evaluate(self, variant: OnnxDecoder, exported: ExportedGraph, yardstick: Yardstick) -> ExportedFigures:
        tell = self._log.begin("evaluate-exported", "evaluating the exported files in ONNX Runtime")
        windows, reference = yardstick.text.windows, yardstick.reference
        figures = self._log.measured("evaluate-exported", lambda: evaluate_exported(variant, windows, reference, tell))
        size = sum((self._folder / name).stat().st_size for name in (GRAPH_FILE, WEIGHTS_FILE))
        self._log.rows.append(ReportRow("exported", figures.quality, exported.spec.parameters, size))
        return figures

    def _write_companions(self, variant: OnnxDecoder, exact: OnnxDecoder, text: EvaluationText) -> list[dict[str, Any]]:
        """Returns `answers` of the report, to the prompts of the probe set."""
        self._log.begin("probe", "recording the probe set")
        checkpoint = self._request.checkpoint
        prompts = probe_prompts(text.windows)
        context_length = checkpoint.model.config.max_position_embeddings
        answers = self._log.measured(
            "answers", lambda: sample_answers(variant, checkpoint.tokenizer, prompts, context_length)
        )
        probe = self._log.measured("probe", lambda: record_probe(checkpoint.model, variant, exact, prompts))
        write_document(self._folder / PROBE_FILE, "Probe", probe)
        write_tokenizer(checkpoint.tokenizer, self._folder)
        write_document(self._folder / CHAT_FILE, "ChatConfig", chat_config(checkpoint))
        return answers

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

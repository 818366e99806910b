"""`report.json`: quality and size after every stage, each with the protocol by which it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from espalier_builder.contracts import Recipe
from espalier_builder.evaluate.quality import Quality
from espalier_builder.onnx_evaluate.evaluate import ExportedFigures
from espalier_builder.stages.cost import StageCost
from espalier_builder.text.windows import EvaluationWindows


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What is left after a stage. `size_bytes`: of the weights as that stage stores them."""

    stage: Literal["dense", "pruned", "quantized", "exported"]
    quality: Quality
    parameters: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class EvaluationText:
    """What the figures were taken on. `digest` None: sampled from the dense model itself."""

    windows: EvaluationWindows
    digest: str | None
    given: bool


def evaluation_report(
    recipe: Recipe,
    rows: list[ReportRow],
    figures: ExportedFigures,
    answers: list[dict[str, Any]],
    text: EvaluationText,
    costs: list[tuple[str, StageCost]],
    notes: list[str],
    achieved_sparsity: float,
) -> dict[str, Any]:
    """The `EvaluationReport` contract. `rows` begins with the dense model and ends with the exported files, which have
    `figures` and gave `answers`.
    """
    dense = rows[0]
    return {
        "schemaVersion": 1,
        "recipe": recipe.to_json(),
        "requestedSparsity": recipe.pruning.sparsity,
        "achievedSparsity": achieved_sparsity,
        "dense": {
            "quality": dense.quality.to_json(),
            "protocol": protocol(text, "pytorch"),
            "parameters": dense.parameters,
        },
        "stages": [
            {
                "stage": row.stage,
                "quality": row.quality.to_json(),
                "protocol": protocol(text, "onnxruntime" if row.stage == "exported" else "pytorch"),
                "parameters": row.parameters,
                "sizeBytes": row.size_bytes,
            }
            for row in rows
        ],
        "paired": figures.paired.to_json(),
        "slices": [
            {
                "name": part.name,
                "tokens": part.tokens,
                "dense": part.dense.to_json(),
                "exported": part.quality.to_json(),
            }
            for part in figures.slices
        ],
        "answers": answers,
        "costs": [{"stage": stage, "cost": cost.to_json()} for stage, cost in costs],
        "notes": notes,
    }


def protocol(text: EvaluationText, engine: Literal["pytorch", "onnxruntime"]) -> dict[str, Any]:
    """The `Protocol` contract."""
    return {
        "datasetDigest": text.digest,
        "datasetOrigin": "given" if text.given else "self-sampled",
        "sequenceLength": text.windows.length,
        "windows": len(text.windows.windows),
        "tokens": text.windows.tokens,
        "engine": engine,
        "engineVersion": version("torch" if engine == "pytorch" else "onnxruntime"),
    }

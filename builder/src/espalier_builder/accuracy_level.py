"""Ships accuracy level 4 (int8 activations) only where it computes nearly what level 0 computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from espalier_builder.export.graph import GRAPH_FILE, build_graph
from espalier_builder.export.write_graph import ExportedGraph
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.onnx_evaluate.evaluate import LevelAgreement, level_agreement
from espalier_builder.quantize.weight_format import VariantFormats
from espalier_builder.text.windows import EvaluationWindows

# Measured on SmolLM2: a healthy level 4 agrees with level 0 at 94-95 % of positions, with a KL of 0.006 (4 bits, block
# 32) to 0.010 (8 bits, block 128) and a perplexity within 0.7 %; what flips are near ties. Level 0 decodes 14 to 22
# times slower there (ONNX Runtime 1.30 unpacks the weights for every token), so only real damage is worth it: massive
# activations, which wreck a block's int8 scale, cost several tenths of a nat.
LEAST_AGREEMENT = 0.85
MOST_KL = 0.05
_CHECKED_POSITIONS = 512


@dataclass(frozen=True, slots=True)
class LevelDecision:
    exported: ExportedGraph
    note: str


def settle_accuracy_level(exported: ExportedGraph, folder: Path, windows: EvaluationWindows) -> LevelDecision | None:
    """Measures level 4 against level 0 on the same weights and rewrites `model.onnx` for level 0 where it must.

    None where there is nothing to settle: an fp32 variant, or one that asks for level 0 anyway.
    """
    linear = exported.formats.linear.main
    if not linear.quantized or linear.accuracy_level != 4:
        return None
    safe = replace(exported, formats=at_level_0(exported.formats))
    file, graph = folder / GRAPH_FILE, build_graph(safe.spec, safe.formats, safe.layout)
    found = level_agreement(OnnxDecoder(graph, weights=folder), OnnxDecoder(file), first_windows(windows))
    if found.agreement >= LEAST_AGREEMENT and found.kl <= MOST_KL:
        return LevelDecision(exported, _describe(found, "so it ships"))
    file.write_bytes(graph.SerializeToString(deterministic=True))
    return LevelDecision(safe, _describe(found, "too far apart: the variant ships at level 0, which is much slower"))


def at_level_0(formats: VariantFormats) -> VariantFormats:
    return VariantFormats(linear=formats.linear.at_level(0), embedding=formats.embedding.at_level(0))


def first_windows(windows: EvaluationWindows) -> EvaluationWindows:
    """The first windows up to about 512 scored positions, at least one."""
    kept, positions = [], 0
    for window in windows.windows:
        kept.append(window)
        positions += len(window.targets)
        if positions >= _CHECKED_POSITIONS:
            break
    return replace(windows, windows=tuple(kept), tokens=positions)


def _describe(found: LevelAgreement, decision: str) -> str:
    return (
        f"Accuracy level 4 chooses level 0's token at {found.agreement:.1%} of {found.positions} positions "
        f"(KL {found.kl:.4f} nats): {decision}."
    )

"""Writes a variant's graph and its weights: `model.onnx` and `model.onnx.data`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.export.decoder_spec import DecoderSpec, spec_of
from espalier_builder.export.graph import GRAPH_FILE, build_graph
from espalier_builder.export.weight_layout import WEIGHTS_FILE, WeightLayout, lay_out
from espalier_builder.export.weight_values import weight_values
from espalier_builder.quantize.model import UNCALIBRATED, Matrices
from espalier_builder.quantize.weight_format import VariantFormats


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    spec: DecoderSpec
    formats: VariantFormats
    layout: WeightLayout


def write_graph(
    model: DecoderModel,
    formats: VariantFormats,
    folder: Path,
    on_progress: Callable[[float], None] = lambda _: None,
    matrices: Matrices = UNCALIBRATED,
) -> ExportedGraph:
    """Writes both files into `folder`; `on_progress` hears the share of bytes written.

    Matrices of the layers are those of `matrices`, and rounded to nearest where there are none.
    Holds one tensor group beside the model. Raises BuilderError for a model that the graph can't express.
    """
    spec = spec_of(model)
    layout = lay_out(spec, formats)
    with (folder / WEIGHTS_FILE).open("wb") as file:
        for group, values in weight_values(model, layout, formats, matrices):
            for tensor in group.tensors:
                value = values[tensor.name]
                if value.shape != tensor.shape or value.dtype.name != tensor.dtype:
                    raise RuntimeError(f"{tensor.name}: laid out {tensor.shape}, got {value.dtype} {value.shape}")
                file.write(b"\0" * (tensor.offset - file.tell()))
                file.write(value.data)
            file.write(b"\0" * (group.end - file.tell()))
            on_progress(group.end / layout.total_bytes)
    graph = build_graph(spec, formats, layout)
    (folder / GRAPH_FILE).write_bytes(graph.SerializeToString(deterministic=True))
    return ExportedGraph(spec, formats, layout)

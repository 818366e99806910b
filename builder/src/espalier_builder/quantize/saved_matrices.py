"""Calibrated matrices on disk."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.model import Matrices
from espalier_builder.quantize.weight_format import LinearFormats


def save_matrices(matrices: Matrices, path: Path) -> None:
    tensors: dict[str, Tensor] = {}
    for name, matrix in matrices.items():
        tensors |= {f"{name}:codes": matrix.codes.contiguous(), f"{name}:scales": matrix.scales.contiguous()}
        if matrix.zero_points is not None:
            tensors[f"{name}:zero_points"] = matrix.zero_points.contiguous()
    columns = {name: str(matrix.columns) for name, matrix in matrices.items()}
    save_file({name: tensor.cpu() for name, tensor in tensors.items()}, path, metadata=columns)


def load_matrices(path: Path, formats: LinearFormats) -> Matrices:
    """What `save_matrices` wrote of matrices in these formats."""
    with safe_open(path, "pt") as file:
        columns = file.metadata() or {}
    tensors = load_file(path)
    return {
        name: QuantizedMatrix(
            weight_format=formats.of(name),
            columns=int(count),
            codes=tensors[f"{name}:codes"],
            scales=tensors[f"{name}:scales"],
            zero_points=tensors.get(f"{name}:zero_points"),
        )
        for name, count in columns.items()
    }

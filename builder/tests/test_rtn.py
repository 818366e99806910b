"""Round to nearest: the grid against a reference written out, and the layout against ONNX Runtime's own kernel."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from espalier_builder.failure import BuilderError
from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import WeightFormat, embedding_format

GRIDS = list(itertools.product((4, 8), (32, 128), (True, False)))


def random_matrix(rows: int = 5, columns: int = 200) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("bits", "block", "symmetric"), GRIDS)
def test_every_weight_lands_on_the_nearest_code_of_its_block(bits: int, block: int, symmetric: bool) -> None:
    weight = random_matrix()
    matrix = quantize_rtn(weight, WeightFormat(bits, block, symmetric, 4))
    dequantized = matrix.dequantize()
    assert dequantized.shape == weight.shape
    for row, index in itertools.product(range(len(weight)), range(matrix.scales.shape[1])):
        columns = slice(index * block, (index + 1) * block)
        values = weight[row, columns].double()
        zero = 2 ** (bits - 1) if matrix.zero_points is None else int(matrix.zero_points[row, index])
        grid = (torch.arange(2**bits) - zero).double() * matrix.scales[row, index].double()
        nearest = (values[:, None] - grid[None]).abs().min(1).values
        assert torch.allclose((values - dequantized[row, columns].double()).abs(), nearest, atol=1e-6)


@pytest.mark.parametrize(("bits", "block", "symmetric"), GRIDS)
def test_no_block_is_worse_than_on_the_grid_between_its_extremes(bits: int, block: int, symmetric: bool) -> None:
    weight = random_matrix()
    dequantized = quantize_rtn(weight, WeightFormat(bits, block, symmetric, 4)).dequantize()
    better = 0
    for row, start in itertools.product(range(len(weight)), range(0, weight.shape[1], block)):
        values = weight[row, start : start + block].double()
        if symmetric:
            extreme = values[values.abs().argmax()].item()
            scale, zero = extreme / -(2 ** (bits - 1)), 2 ** (bits - 1)
        else:
            low, high = min(0.0, values.min().item()), max(0.0, values.max().item())
            scale = (high - low) / (2**bits - 1)
            zero = round(-low / scale)
        plain = ((values / scale).round() + zero).clamp(0, 2**bits - 1).sub(zero) * scale
        plain_error = (values - plain).square().sum()
        error = (values - dequantized[row, start : start + block].double()).square().sum()
        assert error <= plain_error * (1 + 1e-5)
        better += int(error < plain_error * 0.999)
    assert better > 0


@pytest.mark.parametrize(("bits", "block", "symmetric"), GRIDS)
@pytest.mark.parametrize("columns", [64, 100, 172, 300])
def test_the_runtime_multiplies_with_the_dequantized_weights(
    bits: int, block: int, symmetric: bool, columns: int
) -> None:
    matrix = quantize_rtn(random_matrix(48, columns), WeightFormat(bits, block, symmetric, 0))
    value = np.random.default_rng(1).normal(size=(3, columns)).astype(np.float32)
    expected = value @ matrix.dequantize().numpy().T
    assert np.abs(run_matmul(matrix, value) - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_block_of_zeros_stays_zero() -> None:
    weight = random_matrix()
    weight[:, 32:64] = 0
    for symmetric in (True, False):
        dequantized = quantize_rtn(weight, WeightFormat(4, 32, symmetric, 4)).dequantize()
        assert torch.equal(dequantized[:, 32:64], weight[:, 32:64])
        assert bool(dequantized.isfinite().all())


def test_weights_that_are_not_finite_are_refused() -> None:
    weight = random_matrix()
    weight[1, 2] = float("nan")
    with pytest.raises(BuilderError) as caught:
        quantize_rtn(weight, WeightFormat(8, 128, True, 4))
    assert caught.value.code == "WEIGHTS_NOT_FINITE"


def test_the_embedding_takes_large_blocks_unless_padding_costs_more_than_it_saves() -> None:
    linear = WeightFormat(4, 32, False, 4)
    assert embedding_format(linear, 576).block_size == 128  # 640 of 576 columns
    assert embedding_format(linear, 64).block_size == 32  # 128 of 64 columns
    assert embedding_format(linear, 64).bits == 8


def run_matmul(matrix: QuantizedMatrix, value: np.ndarray) -> np.ndarray:
    weight_format = matrix.weight_format
    tensors = {"data": matrix.packed_data(), "scales": matrix.scales, "zero_points": matrix.packed_zero_points()}
    initializers = {name: tensor.numpy() for name, tensor in tensors.items() if tensor is not None}
    node = helper.make_node(
        "MatMulNBits",
        ["x", *initializers],
        ["y"],
        domain="com.microsoft",
        K=matrix.columns,
        N=len(matrix.scales),
        bits=weight_format.bits,
        block_size=weight_format.block_size,
        accuracy_level=weight_format.accuracy_level,
    )
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["M", matrix.columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["M", len(matrix.scales)])],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    model = helper.make_model(
        graph,
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
    )
    return np.asarray(onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": value})[0])

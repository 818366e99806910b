"""GPTQ against the paper's formula written out, and sequential calibration from the stream to the exported file."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from espalier_builder.evaluate.quality import QualityAccumulator
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.write_graph import write_graph
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.walk import corrected, gram, relative_gram, stacks
from espalier_builder.quantize.descent import descend
from espalier_builder.quantize.gptq import assign_codes, damped, quantize_gptq, solve_scales
from espalier_builder.quantize.grid import CLIPS, Grid, fit_grid, in_blocks, range_grid
from espalier_builder.quantize.model import dequantized, stacked, write_back
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.saved_matrices import load_matrices, save_matrices
from espalier_builder.quantize.sequential import quantize_sequentially
from espalier_builder.quantize.weight_format import WeightFormat, variant_formats
from random_decoder import RandomDecoder, torch_logits

GRIDS = list(itertools.product((4, 8), (32, 64, 128, 256), (True, False)))
ROWS = torch.randint(3, 130, (8, 32), generator=torch.Generator().manual_seed(1))


def correlated(rows: int, columns: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A weight `[rows, columns]` and the Gram matrix of inputs that share a few directions."""
    chance = torch.Generator().manual_seed(seed)
    mixing = torch.randn(12, columns, generator=chance)
    inputs = torch.randn(400, 12, generator=chance) @ mixing + 0.3 * torch.randn(400, columns, generator=chance)
    return torch.randn(rows, columns, generator=chance), inputs.T @ inputs


def output_error(weight: Tensor, quantized: Tensor, gram_matrix: Tensor) -> float:
    """`|X (W - Q)^T|^2`."""
    difference = (weight - quantized).double()
    return float(((difference @ gram_matrix.double()) * difference).sum())


def plain_gptq(weight: Tensor, hessian: Tensor, grid: Grid, weight_format: WeightFormat) -> Tensor:
    """The paper's algorithm without blocks of columns: each column's error moves to the later ones by the inverse of
    what is left of the Hessian, which loses a row and a column each time (Optimal Brain Quantization)."""
    order = hessian.diagonal().argsort(descending=True, stable=True).tolist()
    weight, hessian, left = weight.double().clone(), hessian.double(), list(order)
    codes = torch.empty_like(weight)
    for column in order:
        inverse = hessian[left][:, left].inverse()
        block = column // weight_format.block_size
        scale, zero = grid.scales[:, block].double(), grid.zeros[:, block].double()
        codes[:, column] = (weight[:, column] / scale + zero).round().clamp(0, 2**weight_format.bits - 1)
        error = weight[:, column] - (codes[:, column] - zero) * scale
        weight[:, left] -= error[:, None] / inverse[0, 0] * inverse[0]
        left.pop(0)
    return codes


def test_codes_are_those_of_the_papers_formula() -> None:
    weight, gram_matrix = correlated(6, 150)
    weight_format = WeightFormat(4, 32, False, 4)
    hessian = damped(gram_matrix, 0.01)
    grid = range_grid(in_blocks(weight, weight_format), weight_format)
    codes = assign_codes(weight, hessian, grid, weight_format)
    expected = plain_gptq(weight, hessian, grid, weight_format)
    # A tie that rounding of fp32 breaks the other way changes what follows in its row.
    assert (codes == expected).double().mean() > 0.97


def test_a_sweep_of_coordinate_descent_sets_each_column_to_its_best_code_given_the_others() -> None:
    weight, gram_matrix = correlated(4, 150)
    weight[:, 7] = 0
    weight_format = WeightFormat(4, 32, False, 4)
    hessian = damped(gram_matrix, 0.01)
    grid = range_grid(in_blocks(weight, weight_format), weight_format)
    codes = assign_codes(weight, hessian, grid, weight_format)
    scales, zeros = (each.double().repeat_interleave(32, 1)[:, :150] for each in (grid.scales, grid.zeros))
    expected = codes.double()
    for column in range(150):
        tried = expected.repeat(16, 1, 1)
        tried[:, :, column] = torch.arange(16)[:, None]
        difference = weight.double() - (tried - zeros) * scales
        errors = (difference @ hessian.double() * difference).sum(-1)  # [16, R]
        expected[:, column] = zeros[:, column] if column == 7 else errors.argmin(0)
    found = descend(weight, codes, hessian, grid, weight_format)
    assert (found == expected).double().mean() > 0.99
    values = [(each.double() - zeros) * scales for each in (codes, found)]
    before, after = (output_error(weight, each.float(), hessian) for each in values)
    assert after < 0.98 * before


@pytest.mark.parametrize(("bits", "block", "symmetric"), GRIDS)
def test_outputs_are_nearer_than_those_of_rounding_on_every_grid(bits: int, block: int, symmetric: bool) -> None:
    weight, gram_matrix = correlated(24, 300)
    weight_format = WeightFormat(bits, block, symmetric, 4)
    calibrated = quantize_gptq(weight, gram_matrix, weight_format)
    rounded = quantize_rtn(weight, weight_format)
    error = output_error(weight, calibrated.dequantize(), gram_matrix)
    assert error < 0.6 * output_error(weight, rounded.dequantize(), gram_matrix)
    assert calibrated.codes.shape == rounded.codes.shape
    assert (calibrated.zero_points is None) == symmetric
    padding = weight_format.blocks(300) * block - 300
    zeros = calibrated.scales.new_full((24,), 2 ** (bits - 1)) if symmetric else calibrated.zero_points[:, -1]
    assert (calibrated.codes[:, -1, block - padding :] == zeros[:, None]).all()


def test_solved_scales_are_the_least_squares_ones() -> None:
    weight, gram_matrix = correlated(3, 96)
    weight_format = WeightFormat(4, 32, False, 4)
    grid = range_grid(in_blocks(weight, weight_format), weight_format)
    codes = grid.nearest(in_blocks(weight, weight_format), 15)
    solved = solve_scales(weight @ gram_matrix, codes, gram_matrix, grid, weight_format)
    root = torch.linalg.cholesky(gram_matrix.double()).T
    for row in range(3):
        steps = (codes[row] - grid.zeros[row, :, None]).double()
        parts = torch.stack([root[:, 32 * at : 32 * at + 32] @ steps[at] for at in range(3)], 1)
        expected = torch.linalg.lstsq(parts, root @ weight[row].double()[:, None]).solution[:, 0]
        assert torch.allclose(solved[row].double(), expected, rtol=1e-3)


def test_a_grid_is_fitted_where_its_inputs_have_their_energy() -> None:
    weight, _ = correlated(24, 96)
    weight_format = WeightFormat(4, 32, False, 4)
    energy = torch.linspace(-3, 3, 96).exp().view(3, 32)
    blocked = in_blocks(weight, weight_format)

    def error(grid: Grid, codes: Tensor) -> float:
        return float(((grid.values(codes) - blocked).square() * energy).sum())

    found = error(*fit_grid(blocked, weight_format, energy, CLIPS))
    assert found < 0.98 * error(*fit_grid(blocked, weight_format, None, CLIPS))
    for clip in CLIPS:
        grid = range_grid(blocked, weight_format, clip)
        assert found < error(grid, grid.nearest(blocked, 15))


def test_codes_and_scales_are_bettered_in_turns_from_the_grid_that_the_energies_weight() -> None:
    weight, gram_matrix = correlated(12, 96)
    weight_format = WeightFormat(4, 32, False, 4)
    hessian = damped(gram_matrix, 0.05)
    grid, _ = fit_grid(in_blocks(weight, weight_format), weight_format, hessian.diagonal().view(3, 32), CLIPS)
    codes, errors = assign_codes(weight, hessian, grid, weight_format), []
    for turn in range(3):
        if turn > 0:
            codes = descend(weight, codes, hessian, grid, weight_format)
        blocked = in_blocks(codes, weight_format)
        grid = Grid(solve_scales(weight @ hessian, blocked, hessian, grid, weight_format), grid.zeros)
        errors.append(output_error(weight, grid.values(blocked).flatten(1), hessian))
    assert errors[2] <= errors[1] < errors[0]
    found = quantize_gptq(weight, gram_matrix, weight_format)
    assert (found.codes == blocked).double().mean() > 0.99
    assert output_error(weight, found.dequantize(), hessian) == pytest.approx(errors[2], rel=1e-3)


def test_columns_without_any_input_and_rows_of_zeros_are_quantized_all_the_same() -> None:
    weight, gram_matrix = correlated(4, 64)
    weight[2] = 0
    gram_matrix[5] = gram_matrix[:, 5] = 0
    quantized = quantize_gptq(weight, gram_matrix, WeightFormat(4, 32, False, 4)).dequantize()
    assert bool(quantized.isfinite().all())
    assert (quantized[2] == 0).all()
    assert (quantized[:, 5] - weight[:, 5]).abs().max() < 0.5
    assert bool(quantize_gptq(weight, 0 * gram_matrix, WeightFormat(4, 32, True, 4)).dequantize().isfinite().all())


def test_weights_and_statistics_that_are_not_finite_are_refused() -> None:
    weight, gram_matrix = correlated(4, 64)
    with pytest.raises(BuilderError, match="positive definite") as caught:
        quantize_gptq(weight, gram_matrix * torch.nan, WeightFormat(4, 32, True, 4))
    assert caught.value.code == "GRAM_SINGULAR"
    weight[1, 1] = torch.inf
    with pytest.raises(BuilderError) as caught:
        quantize_gptq(weight, gram_matrix, WeightFormat(4, 32, True, 4))
    assert caught.value.code == "WEIGHTS_NOT_FINITE"
    model = RandomDecoder().build()
    model.model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(BuilderError, match=r"layers\.1\.ffn\.gate_up"):
        quantize_sequentially(model, ROWS, WeightFormat(4, 32, True, 4))


def test_an_output_counts_relative_to_the_residual_that_it_makes() -> None:
    model = RandomDecoder().build()
    stream, layer = HiddenStates(model, ROWS, bf16=False), model.model.layers[0]
    block = stream.attention_block(layer)
    inner = [block.inner(states) for states in stream.batches()]
    expected = torch.zeros(96, 96, dtype=torch.float64)
    for token, state in zip(torch.cat(inner), stream.states.flatten(0, 1), strict=True):
        residual = state + layer.self_attn.o_proj.weight @ token
        expected += torch.outer(token, token).double() / residual.square().mean().double()
    assert torch.allclose(relative_gram(stream, block, inner).double(), expected, rtol=1e-3, atol=1e-3)
    assert torch.allclose(gram(inner), torch.cat(inner).T @ torch.cat(inner), rtol=1e-4, atol=1e-3)


def test_a_matrix_that_writes_to_the_stream_is_solved_for_what_the_dense_stream_has() -> None:
    dense = RandomDecoder().build()
    stream, wanted = HiddenStates(dense, ROWS, bf16=False), HiddenStates(dense, ROWS, bf16=False)
    chance = torch.Generator().manual_seed(3)
    stream.states += 0.1 * torch.randn(stream.states.shape, generator=chance)
    block, dense_block = stream.attention_block(dense.model.layers[0]), wanted.attention_block(dense.model.layers[0])
    inner = [block.inner(states) for states in stream.batches()]
    for states in wanted.batches():
        wanted.add_output(states, dense_block.inner(states), block.linear.weight, None)
    weight = block.linear.weight.double()
    x, h = torch.cat(inner).double(), stream.states.flatten(0, 1).double()
    lacking = wanted.states.flatten(0, 1).double() - h - x @ weight.T
    shares = 1 / (h + x @ weight.T).square().mean(1, keepdim=True)
    gram_matrix = x.T @ (shares * x)
    diagonal = gram_matrix.diagonal()
    share = 10 * x.shape[1] / ROWS.numel()
    ridge = torch.diag(share * diagonal + 1e-4 * (1 + share) * diagonal.mean())
    expected = weight + torch.linalg.solve(gram_matrix + ridge, x.T @ (shares * lacking)).T
    found = corrected(stream, block, inner, relative_gram(stream, block, inner), wanted)
    assert torch.allclose(found.double(), expected, atol=1e-4)


def test_each_matrix_is_quantized_on_what_those_before_it_give_and_outputs_for_the_dense_stream() -> None:
    dense = RandomDecoder().build()
    weight_format = WeightFormat(4, 32, False, 4)
    found = quantize_sequentially(dense, ROWS, weight_format)
    layer = copy.deepcopy(dense.model.layers[0])
    stream, wanted = HiddenStates(dense, ROWS, bf16=False), HiddenStates(dense, ROWS, bf16=False)
    halves = zip(stream.blocks(layer), wanted.blocks(dense.model.layers[0]), strict=True)
    norms = (layer.input_layernorm, layer.post_attention_layernorm)
    names = (("attention.qkv", "attention.output"), ("ffn.gate_up", "ffn.down"))
    for (block, reference), norm, (reading, writing) in zip(halves, norms, names, strict=True):
        linears, inputs = stacks(layer)[reading], norm(stream.states).flatten(0, 1)
        first = quantize_gptq(stacked(linears), inputs.T @ inputs, weight_format)
        assert (found[f"layers.0.{reading}"].codes == first.codes).double().mean() > 0.99
        write_back(first, linears)
        inner = [block.inner(states) for states in stream.batches()]
        statistics = relative_gram(stream, block, inner)
        wanted.go_through(reference)
        solved = corrected(stream, block, inner, statistics, wanted)
        second = quantize_gptq(solved, statistics, weight_format)
        codes = found[f"layers.0.{writing}"].codes
        assert (codes == second.codes).double().mean() > 0.99
        plain = quantize_gptq(block.linear.weight, statistics, weight_format)
        assert (codes == plain.codes).double().mean() < 0.97
        write_back(second, [block.linear])
        stream.go_through(block)


def test_a_calibrated_decoder_is_nearer_to_the_dense_one_and_exports_what_pytorch_computes(tmp_path: Path) -> None:
    model = RandomDecoder(biases=True).build()
    weight_format = WeightFormat(4, 32, False, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    matrices = quantize_sequentially(model, ROWS, weight_format)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    again = quantize_sequentially(model, ROWS, weight_format)
    assert all(torch.equal(matrix.codes, again[name].codes) for name, matrix in matrices.items())
    assert set(matrices) == {
        f"layers.{index}.{name}" for index, layer in enumerate(model.model.layers) for name in stacks(layer)
    }

    formats = variant_formats(weight_format, 96)
    calibrated, rounded = dequantized(model, formats, matrices), dequantized(model, formats)
    tokens = torch.randint(3, 130, (60,), generator=torch.Generator().manual_seed(2)).tolist()
    assert divergence(model, calibrated, tokens) < 0.8 * divergence(model, rounded, tokens)

    save_matrices(matrices, tmp_path / "matrices.safetensors")
    write_graph(model, formats, tmp_path, matrices=load_matrices(tmp_path / "matrices.safetensors", weight_format))
    variant = OnnxDecoder(tmp_path / GRAPH_FILE, threads=1)
    expected = torch_logits(calibrated, tokens)
    logits = torch.from_numpy(variant.logits(tokens))
    assert torch.allclose(logits, expected, atol=1e-3 * float(expected.abs().max()))
    assert torch.equal(stacked([calibrated.model.layers[1].mlp.down_proj]), matrices["layers.1.ffn.down"].dequantize())


def divergence(dense: torch.nn.Module, other: torch.nn.Module, tokens: list[int]) -> float:
    accumulator = QualityAccumulator()
    accumulator.add(torch_logits(dense, tokens), torch_logits(other, tokens), torch.tensor(tokens))
    return accumulator.quality(text_bytes=len(tokens)).kl

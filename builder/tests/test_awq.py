"""AWQ and SmoothQuant against the papers' formulas written out, and scales that leave what a model computes alone."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from espalier_builder.contracts import QuantizationMethod
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.write_graph import write_graph
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.walk import stacks
from espalier_builder.quantize.awq import CLIPS, EXPONENTS, awq_scales, best_scale, clipped, quantize_clipped
from espalier_builder.quantize.calibrate import calibrate
from espalier_builder.quantize.grid import in_blocks, range_grid
from espalier_builder.quantize.model import dequantized
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.scaling import scaled_copy, shared_by_queries
from espalier_builder.quantize.smoothquant import smoothing_scales
from espalier_builder.quantize.weight_format import WeightFormat, variant_formats
from random_decoder import RandomDecoder, torch_logits

ROWS = torch.randint(3, 130, (8, 32), generator=torch.Generator().manual_seed(1))
INT4 = WeightFormat(4, 32, False, 0)
TOKENS = ROWS[0].tolist()


def outlying(rows: int = 24, columns: int = 80) -> tuple[Tensor, Tensor]:
    """A weight `[rows, columns]` and inputs `[400, columns]`, a few channels of which are far louder."""
    chance = torch.Generator().manual_seed(0)
    loudness = torch.ones(columns)
    loudness[torch.tensor([3, 40, 77])] = 30.0
    return torch.randn(rows, columns, generator=chance), torch.randn(400, columns, generator=chance) * loudness


def inputs_of(model: torch.nn.Module, linear: torch.nn.Linear) -> Tensor:
    """What reaches `linear` on ROWS, `[t, C]`."""
    caught: list[Tensor] = []
    hook = linear.register_forward_pre_hook(lambda _, args: caught.append(args[0].flatten(0, 1)))
    model(ROWS)
    hook.remove()
    return caught[0]


@pytest.mark.parametrize("biases", [False, True])
def test_scaled_inputs_leave_what_a_model_computes_as_it_was(biases: bool) -> None:
    model = RandomDecoder(biases=biases).build()
    chance = torch.Generator().manual_seed(2)
    scales = {
        f"layers.{index}.{name}": 0.3 + 3 * torch.rand(linears[0].in_features, generator=chance)
        for index, layer in enumerate(model.model.layers)
        for name, linears in stacks(layer).items()
    }
    for index, layer in enumerate(model.model.layers):
        place = f"layers.{index}.attention.output"
        scales[place] = shared_by_queries(layer, scales[place])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scaled = scaled_copy(model, scales)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.allclose(torch_logits(scaled, TOKENS), torch_logits(model, TOKENS), atol=1e-4)
    for index, layer in enumerate(scaled.model.layers):
        dense = model.model.layers[index]
        expected = dense.mlp.down_proj.weight * scales[f"layers.{index}.ffn.down"]
        assert torch.equal(layer.mlp.down_proj.weight, expected)


def test_a_value_channel_has_one_scale_for_all_queries_that_read_it() -> None:
    layer = RandomDecoder().build().model.layers[0]  # 6 heads of 16, 3 queries to a key/value head
    sizes = torch.arange(96.0)
    shared = shared_by_queries(layer, sizes)
    assert shared[5] == shared[5 + 16] == shared[5 + 32] == (5 + 21 + 37) / 3
    assert shared[48 + 5] == (53 + 69 + 85) / 3


def test_smoothing_scales_follow_the_papers_formula() -> None:
    model = RandomDecoder(biases=True).build()
    scales = smoothing_scales(model, ROWS)
    assert set(scales) == {f"layers.{at}.{name}" for at in range(2) for name in ("attention.qkv", "ffn.gate_up")}
    for index, layer in enumerate(model.model.layers):
        attention, mlp = layer.self_attn, layer.mlp
        for name, linears in (
            ("attention.qkv", [attention.q_proj, attention.k_proj, attention.v_proj]),
            ("ffn.gate_up", [mlp.gate_proj, mlp.up_proj]),
        ):
            x = inputs_of(model, linears[0]).abs().amax(0)
            w = torch.cat([linear.weight for linear in linears]).abs().amax(0)
            assert torch.allclose(scales[f"layers.{index}.{name}"], (x / w).sqrt(), rtol=1e-3)


def test_the_best_scale_is_that_of_least_output_error_among_the_papers_exponents() -> None:
    weight, inputs = outlying()
    sizes = inputs.abs().mean(0)

    def error(other: Tensor) -> float:
        return (inputs @ (other - weight).T).square().sum().item()

    found = best_scale(weight, sizes, INT4, error)
    tried = []
    for exponent in EXPONENTS:
        scale = sizes**exponent
        scale = scale / (scale.max() * scale.min()) ** 0.5
        tried.append((error(quantize_rtn(weight * scale, INT4).dequantize() / scale), exponent, scale))
    least, exponent, scale = min(tried, key=lambda each: each[0])
    assert exponent > 0
    assert torch.allclose(found, scale)
    assert least < 0.7 * tried[0][0]


def candidates(sizes: Tensor) -> list[Tensor]:
    powers = [sizes**exponent for exponent in EXPONENTS]
    return [power / (power.max() * power.min()) ** 0.5 for power in powers]


def test_scales_of_a_layer_are_those_that_its_blocks_outputs_ask_for() -> None:
    """gate_up by the FFN's output, down_proj by its own, both relative to the stream after the block."""
    model = RandomDecoder(ffn_sizes=(160,)).build()
    scales = awq_scales(model, ROWS, INT4)
    layer = copy.deepcopy(model.model.layers[0])
    stream = HiddenStates(model, ROWS, bf16=False)
    stream.go_through(stream.attention_block(layer))
    mlp, before = layer.mlp, stream.states.flatten(0, 1).clone()
    normed = layer.post_attention_layernorm(before)
    wanted = mlp(normed)
    share = 1 / (before + wanted).square().mean(1, keepdim=True)

    def rounded(linear: torch.nn.Linear, scale: Tensor) -> Tensor:
        return quantize_rtn(linear.weight * scale, INT4).dequantize() / scale

    def ffn_error(scale: Tensor) -> float:
        gate, up = (normed @ rounded(linear, scale).T for linear in (mlp.gate_proj, mlp.up_proj))
        return float(((mlp.down_proj(mlp.act_fn(gate) * up) - wanted).square() * share).sum())

    expected = min(candidates(normed.abs().mean(0)), key=ffn_error)
    assert torch.allclose(scales["layers.0.ffn.gate_up"], expected, rtol=1e-4)
    inner = mlp.act_fn(mlp.gate_proj(normed)) * mlp.up_proj(normed)

    def down_error(scale: Tensor) -> float:
        return float(((inner @ rounded(mlp.down_proj, scale).T - wanted).square() * share).sum())

    expected = min(candidates((inner * share.sqrt()).abs().mean(0)), key=down_error)
    assert torch.allclose(scales["layers.0.ffn.down"], expected, rtol=1e-4)


def test_scales_of_attention_are_those_that_its_output_asks_for() -> None:
    """Queries, keys and values by what attention then adds, o_proj by its own product, channels shared by queries."""
    model = RandomDecoder(ffn_sizes=(160,)).build()
    scales = awq_scales(model, ROWS, INT4)
    layer, states = model.model.layers[0], model.model.embed_tokens(ROWS)
    normed = layer.input_layernorm(states)
    rotary = model.model.rotary_emb(states, torch.arange(ROWS.shape[1])[None])
    projections = ("q_proj", "k_proj", "v_proj")

    def attended(attention: torch.nn.Module) -> Tensor:
        output: Tensor = attention(hidden_states=normed, position_embeddings=rotary, attention_mask=None)[0]
        return output.flatten(0, 1)

    wanted = attended(layer.self_attn)
    share = 1 / (states.flatten(0, 1) + wanted).square().mean(1, keepdim=True)

    def rounded(weight: Tensor, scale: Tensor) -> Tensor:
        return quantize_rtn(weight * scale, INT4).dequantize() / scale

    def qkv_error(scale: Tensor) -> float:
        other = copy.deepcopy(layer.self_attn)
        for name in projections:
            other.get_submodule(name).weight.copy_(rounded(other.get_submodule(name).weight, scale))
        return float(((attended(other) - wanted).square() * share).sum())

    expected = min(candidates(normed.flatten(0, 1).abs().mean(0)), key=qkv_error)
    assert torch.allclose(scales["layers.0.attention.qkv"], expected, rtol=1e-4)
    weight, inner = layer.self_attn.o_proj.weight, inputs_of(model, layer.self_attn.o_proj)

    def output_error(scale: Tensor) -> float:
        return float(((inner @ (rounded(weight, scale) - weight).T).square() * share).sum())

    # Channel (group, query, place): 2 groups of 3 queries of 16.
    sizes = (inner * share.sqrt()).abs().mean(0).view(2, 3, 16).mean(1, keepdim=True).expand(2, 3, 16).flatten()
    expected = min(candidates(sizes), key=output_error)
    assert torch.allclose(scales["layers.0.attention.output"], expected, rtol=1e-4)


@pytest.mark.parametrize("symmetric", [True, False])
def test_each_block_is_clipped_where_its_own_products_err_least(symmetric: bool) -> None:
    weight, inputs = outlying()
    weight_format = WeightFormat(4, 32, symmetric, 0)
    found = clipped(weight, inputs.T @ inputs, weight_format, whole=5)
    rounded = quantize_rtn(weight, weight_format)
    assert torch.equal(found.codes[:5], rounded.codes[:5])
    for block in range(3):
        columns = slice(32 * block, min(80, 32 * block + 32))

        def error(values: Tensor, columns: slice = columns) -> Tensor:
            return (inputs[:, columns] @ (values - weight)[:, columns].T).square().sum(0)  # [R]

        tried = [error(rounded.dequantize())]
        for clip in CLIPS:
            grid = range_grid(in_blocks(weight, weight_format), weight_format, clip)
            codes = grid.nearest(in_blocks(weight, weight_format), 15)
            tried.append(error(grid.values(codes).flatten(1)[:, :80]))
        least = torch.stack(tried).amin(0)
        assert torch.allclose(error(found.dequantize())[5:], least[5:], rtol=1e-3)
        assert bool((least[5:] < tried[0][5:]).any())


def test_queries_and_keys_keep_their_ranges() -> None:
    model = RandomDecoder().build()
    found = quantize_clipped(model, ROWS, INT4)["layers.0.attention.qkv"].codes
    attention = model.model.layers[0].self_attn
    weights = [each.weight for each in (attention.q_proj, attention.k_proj, attention.v_proj)]
    rounded = quantize_rtn(torch.cat(weights), INT4).codes
    whole = len(weights[0]) + len(weights[1])
    assert torch.equal(found[:whole], rounded[:whole])
    assert not torch.equal(found[whole:], rounded[whole:])


@pytest.mark.parametrize("method", ["awq", "awq-gptq", "smoothquant"])
def test_a_scaled_and_quantized_decoder_exports_what_pytorch_computes(
    method: QuantizationMethod, tmp_path: Path
) -> None:
    model = RandomDecoder(biases=True).build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = calibrate(model, ROWS, INT4, method)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    scaled, formats = made.scaled(model), variant_formats(INT4, 96)
    write_graph(scaled, formats, tmp_path, matrices=made.matrices)
    expected = torch_logits(dequantized(scaled, formats, made.matrices), TOKENS)
    logits = torch.from_numpy(OnnxDecoder(tmp_path / GRAPH_FILE, threads=1).logits(TOKENS))
    assert torch.allclose(logits, expected, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("method", ["awq", "awq-gptq", "smoothquant"])
def test_activations_that_overflow_are_refused_with_the_matrix_that_reads_them(method: QuantizationMethod) -> None:
    model = RandomDecoder().build()
    for linear in (model.model.layers[0].mlp.gate_proj, model.model.layers[0].mlp.up_proj):
        linear.weight.fill_(1e25)
    with pytest.raises(BuilderError, match=r"layers\.(0\.ffn\.down|1\.attention\.qkv)") as caught:
        calibrate(model, ROWS, INT4, method)
    assert caught.value.code == "ACTIVATIONS_NOT_FINITE"


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_token_whose_state_is_all_zeros_counts_for_nothing(method: QuantizationMethod) -> None:
    """As that of a padding token is, whose embedding training never touched."""
    model, rows = RandomDecoder().build(), ROWS.clone()
    rows[:, 0] = 5
    model.model.embed_tokens.weight[5] = 0.0
    found = calibrate(model, rows, INT4, method)
    assert all(bool(matrix.scales.isfinite().all()) for matrix in found.matrices.values())

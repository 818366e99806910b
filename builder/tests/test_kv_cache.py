"""Scales of an int8 KV cache against transformers' own cache, a formula written out, and the exported graph's cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.load import load
from espalier_builder.contracts import validate
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.export.write_graph import write_graph
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.as_devices_run import as_devices_run
from espalier_builder.quantize.kv_cache import KvScales, calibrate_kv_cache, rounded
from espalier_builder.quantize.weight_format import FP32, VariantFormats
from espalier_builder.text.windows import Window
from random_decoder import RandomDecoder
from test_families import FAMILIES, published
from tiny_llama import random_rows

ROWS = random_rows(6, 24)
TOKENS = ROWS[0]


def window() -> Window:
    return Window(TOKENS, torch.arange(len(TOKENS)), TOKENS)


@torch.inference_mode()
def cached(model: DecoderModel, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Keys and values `[B, G, T, D]` of each layer as transformers caches them."""
    cache = DynamicCache()
    model.model(input_ids=rows, past_key_values=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


@pytest.mark.parametrize("name", FAMILIES)
def test_scales_reach_the_largest_magnitude_that_each_channel_cached(name: str, tmp_path: Path) -> None:
    model = load(published(FAMILIES[name], tmp_path / "published")[1]).model
    scales = calibrate_kv_cache(model, ROWS)
    for index, (keys, values) in enumerate(cached(model, ROWS)):
        for found, states in ((scales.keys[index], keys), (scales.values[index], values)):
            assert torch.allclose(found * 127, states.abs().amax((0, 2)), rtol=1e-5)


def test_keys_are_taken_after_the_rotary_positions() -> None:
    """RoFormer's rotation of channel pairs (d, d + D/2) written out, for the first layer."""
    model: LlamaForCausalLM = RandomDecoder().build()
    layer, size = model.model.layers[0], model.model.layers[0].self_attn.head_dim
    keys = layer.self_attn.k_proj(layer.input_layernorm(model.model.embed_tokens(ROWS))).double()
    keys = keys.unflatten(-1, (-1, size))  # [B, T, G, D]
    turned = torch.empty_like(keys)
    for position in range(ROWS.shape[1]):
        for pair in range(size // 2):
            angle = torch.tensor(position * 10000.0 ** (-2 * pair / size), dtype=torch.float64)
            left, right = keys[:, position, :, pair], keys[:, position, :, pair + size // 2]
            turned[:, position, :, pair] = left * angle.cos() - right * angle.sin()
            turned[:, position, :, pair + size // 2] = right * angle.cos() + left * angle.sin()
    found = calibrate_kv_cache(model, ROWS).keys[0].double()
    assert torch.allclose(found * 127, turned.abs().amax((0, 1)), rtol=1e-5)


def test_a_number_becomes_the_nearest_code_and_saturates_at_127() -> None:
    states = torch.tensor([0.0, 0.24, -0.26, 63.4, 70.0, -1000.0])[None, None, :, None]
    expected = torch.tensor([0.0, 0.0, -0.5, 63.5, 63.5, -63.5])[None, None, :, None]
    assert torch.equal(rounded(states, torch.tensor([[0.5]])), expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_rounded_in_pytorch_is_rounded_in_the_exported_graph(name: str, tmp_path: Path) -> None:
    model = load(published(FAMILIES[name], tmp_path / "published")[1]).model
    # A coarse cache, so that rounding is seen.
    fine = calibrate_kv_cache(model, ROWS)
    scales = KvScales(tuple(12 * each for each in fine.keys), tuple(12 * each for each in fine.values))
    exported = write_graph(model, VariantFormats(FP32, FP32), tmp_path)
    variant = as_devices_run(exported, tmp_path, scales)
    expected = scored_logits(model, window(), scales).numpy()
    assert np.abs(expected - scored_logits(model, window()).numpy()).max() > 0.01
    assert np.abs(variant.logits(TOKENS.tolist()) - expected).max() < 2e-3
    cache = variant.cache(len(TOKENS))
    variant.extend(cache, TOKENS[:10].tolist())
    decoded = np.concatenate([variant.extend(cache, [token]) for token in TOKENS[10:].tolist()])
    assert np.abs(decoded - expected[10:]).max() < 2e-3
    # What lies in the cache are whole codes.
    keys = cache.tensors["0.key"].numpy()[0]
    codes = keys / scales.keys[0].numpy()[:, None]
    assert np.abs(codes - codes.round()).max() < 1e-3
    assert np.abs(codes).max() <= 127.001
    assert {path.name for path in tmp_path.iterdir()} == {"published", "model.onnx", "model.onnx.data"}


def test_a_file_gives_back_the_scales_that_figures_were_taken_with() -> None:
    model = RandomDecoder().build()
    scales = calibrate_kv_cache(model, ROWS)
    value = scales.to_json()
    validate("KvCacheScales", value)
    again = KvScales.from_json(value)
    assert all(torch.equal(one, other) for one, other in zip(again.keys, scales.keys, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(again.values, scales.values, strict=True))


def test_a_channel_that_is_always_0_has_a_scale_all_the_same() -> None:
    model = RandomDecoder().build()
    model.model.layers[1].self_attn.v_proj.weight[0] = 0.0
    scales = calibrate_kv_cache(model, ROWS)
    validate("KvCacheScales", scales.to_json())
    assert scored_logits(model, window(), scales).isfinite().all()


def test_values_that_are_not_finite_are_refused_with_their_layer() -> None:
    model = RandomDecoder().build()
    model.model.layers[1].self_attn.v_proj.weight[0, 0] = float("inf")
    with pytest.raises(BuilderError, match="layer 1") as caught:
        calibrate_kv_cache(model, ROWS)
    assert caught.value.code == "ACTIVATIONS_NOT_FINITE"

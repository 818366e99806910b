"""Scales of an int8 KV cache against transformers' own cache, a formula written out, and the exported graph's cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM

from espalier_builder.artifact.chunks import file_entry
from espalier_builder.artifact.read_variant import read_document
from espalier_builder.artifact.write_document import write_document
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.load import load
from espalier_builder.cli import run
from espalier_builder.contracts import Pruning, Recipe, validate
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.shape import shape_of
from espalier_builder.export.write_graph import write_graph
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.as_devices_run import as_devices_run
from espalier_builder.onnx_evaluate.built_variant import load_variant
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.quantize.kv_cache import KvScales, calibrate_kv_cache, rounded
from espalier_builder.quantize.weight_format import FP32, VariantFormats
from espalier_builder.tasks.questions import read_questions
from espalier_builder.tasks.score import by_onnx, likelihoods
from espalier_builder.text.windows import Window
from random_decoder import RandomDecoder, save_checkpoint
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


def test_page_and_tasks_answer_with_the_cache_that_the_artifact_ships(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, recipe, variant = tmp_path / "text.txt", tmp_path / "recipe.json", tmp_path / "variant"
    text.write_text("A fox sat on a box. It saw a bird, and the bird saw it. Both were calm. " * 6)
    recipe.write_text(json.dumps(Recipe(Pruning("flap", 0.2, 16), kv_cache="int8").to_json()))
    task = tmp_path / "task.jsonl"
    task.write_text(json.dumps({"query": "The cat sat on the", "choices": ["mat", "long table"], "gold": 0}))
    common = [
        "--model",
        str(save_checkpoint(tmp_path / "model")),
        "--cache",
        str(tmp_path / "cache"),
        "--device",
        "cpu",
    ]
    data = ["--eval", str(text), "--eval-tokens", "128", "--sequence-length", "32"]
    calibration = ["--calibration", str(text), "--calibration-tokens", "256"]
    assert run(["build", *common, *data, *calibration, "--recipe", str(recipe), "--out", str(variant)]) == 0
    # A coarse cache, so that rounding is seen.
    scales = json.loads((variant / "kv-cache.json").read_text())
    for layer in scales["layers"]:
        for part in ("keyScales", "valueScales"):
            layer[part] = [[12 * scale for scale in head] for head in layer[part]]
    (variant / "kv-cache.json").write_text(json.dumps(scales))
    manifest = read_document(variant / "manifest.json", "Manifest")
    files = {file["path"]: file for file in manifest["files"]} | {"kv-cache.json": file_entry(variant, "kv-cache.json")}
    manifest |= {"files": list(files.values()), "totalBytes": sum(file["sizeBytes"] for file in files.values())}
    write_document(variant / "manifest.json", "Manifest", manifest)
    before = {path.name: path.read_bytes() for path in variant.iterdir()}

    checkpoint = load(tmp_path / "model")
    loaded = load_variant(variant, manifest, spec_of(checkpoint.model))
    plain = OnnxDecoder(variant / "model.onnx")
    tokens = TOKENS.tolist()
    assert np.abs(loaded.logits(tokens) - plain.logits(tokens)).max() > 0.01
    assert (
        run(["tasks", *common, "--variant", str(variant), "--task", str(task), "--out", str(tmp_path / "t.json")]) == 0
    )
    kept = [answers["likelihoods"] for answers in json.loads((tmp_path / "t.json").read_text())["answers"].values()]
    asked = read_questions(task)
    assert kept[1] == likelihoods(by_onnx(loaded), checkpoint.tokenizer, asked, 64)
    assert kept[1] != likelihoods(by_onnx(plain), checkpoint.tokenizer, asked, 64)
    page = tmp_path / "page.html"
    assert run(["report", *common, *data, "--variant", str(variant), "--answer-tokens", "4", "--out", str(page)]) == 0
    assert "rounded to int8 wherever the variant runs" in page.read_text()
    assert {path.name: path.read_bytes() for path in variant.iterdir()} == before
    capsys.readouterr()


@pytest.mark.parametrize("name", FAMILIES)
def test_an_artifact_with_such_a_cache_is_loaded_as_its_builder_ran_it(name: str, tmp_path: Path) -> None:
    model = load(published(FAMILIES[name], tmp_path / "published")[1]).model
    scales = calibrate_kv_cache(model, ROWS)
    exported = write_graph(model, VariantFormats(FP32, FP32), tmp_path)
    (tmp_path / "kv-cache.json").write_text(json.dumps(scales.to_json()))
    manifest = {
        "name": name,
        "kvCache": "int8",
        "shape": shape_of(exported.spec, exported.formats, "int8"),
        "tensors": [tensor.to_json() for tensor in exported.layout.tensors],
    }
    built, found = as_devices_run(exported, tmp_path, scales), load_variant(tmp_path, manifest, spec_of(model))
    assert np.array_equal(built.logits(TOKENS.tolist()), found.logits(TOKENS.tolist()))
    manifest["tensors"] = manifest["tensors"][1:]
    with pytest.raises(BuilderError, match="build it anew") as caught:
        load_variant(tmp_path, manifest, spec_of(model))
    assert caught.value.code == "VARIANT_INVALID"

"""The page about a variant: what it says was removed is what was, and it holds together in one safe file."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from espalier_builder.checkpoint.load import load
from espalier_builder.cli import run
from espalier_builder.export.shape import shape_of
from espalier_builder.export.write_graph import ExportedGraph, write_graph
from espalier_builder.page.answers import Answer, SideBySide
from espalier_builder.page.html import heat_map, page
from espalier_builder.page.removed import BINS, removed_by_layer
from espalier_builder.prune.cut import Cut, apply_cut, whole
from espalier_builder.quantize.awq import awq_scales
from espalier_builder.quantize.scaling import scaled_copy
from espalier_builder.quantize.weight_format import FP32, VariantFormats, WeightFormat, variant_formats
from random_decoder import RandomDecoder, save_checkpoint
from test_families import FAMILIES, published

TEXT = "A fox sat on a box. It saw a bird, and the bird saw it. Both were calm. " * 6
FORMATS = {
    "fp32": VariantFormats(FP32, FP32),
    "q8": variant_formats(WeightFormat(8, 32, True, 0), 96),
    "q4": variant_formats(WeightFormat(4, 128, False, 0), 96),
}


def listed(exported: ExportedGraph) -> dict[str, Any]:
    """What of a manifest says where the weights lie."""
    return {
        "shape": shape_of(exported.spec, exported.formats),
        "tensors": [tensor.to_json() for tensor in exported.layout.tensors],
    }


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_removed_heads_neurons_and_layers_are_found_in_the_exported_weights(
    name: str, scaled: bool, tmp_path: Path
) -> None:
    dense = RandomDecoder(ffn_sizes=(96, 96, 96)).build()
    cut = Cut(
        layers=(0, 2),
        neurons=(torch.arange(0, 96, 2), torch.arange(24, 96)),
        groups=(torch.tensor([1]), torch.tensor([0, 1])),
    )
    smaller = apply_cut(dense, cut)
    if scaled:
        rows = torch.randint(3, 130, (4, 32), generator=torch.Generator().manual_seed(1))
        smaller = scaled_copy(smaller, awq_scales(smaller, rows, WeightFormat(4, 32, False, 0)))
    exported = write_graph(smaller, FORMATS[name], tmp_path)
    first, gone, last = removed_by_layer(dense, tmp_path, listed(exported))
    assert first.heads == (1, 1, 1, 0, 0, 0)
    assert first.neurons == (0.5,) * BINS
    assert set(gone.heads) == set(gone.neurons) == {1.0}
    assert last.heads == (0,) * 6
    assert last.neurons == (1.0,) * 12 + (0.0,) * 36


def test_zeros_of_a_mask_are_counted(tmp_path: Path) -> None:
    dense = RandomDecoder().build()
    weight = dense.model.layers[0].mlp.up_proj.weight.clone()
    weight[:, ::2] = 0
    cut = replace(whole(dense), tensors={"model.layers.0.mlp.up_proj.weight": weight})
    exported = write_graph(apply_cut(dense, cut), FORMATS["fp32"], tmp_path)
    linears = 96 * 96 * 2 + 2 * 96 * 32 + 3 * 96 * 160
    assert removed_by_layer(dense, tmp_path, listed(exported))[0].zeros == pytest.approx(96 * 160 / 2 / linears)


class Reading(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]


def test_the_command_writes_one_file_without_links_or_scripts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, text, recipe = save_checkpoint(tmp_path / "model"), tmp_path / "text.jsonl", tmp_path / "recipe.json"
    story = json.dumps({"text": TEXT, "slice": "animals"})
    text.write_text(f"{story}\n{story}\n")
    quantization = {"method": "rtn", "bits": 8, "blockSize": 32, "symmetric": True, "accuracyLevel": 4}
    pruning = {"method": "flap", "sparsity": 0.2, "alignment": 16, "refit": False}
    recipe.write_text(json.dumps({"schemaVersion": 1, "pruning": pruning, "quantization": quantization}))
    common = ["--model", str(model), "--eval", str(text), "--sequence-length", "32", "--eval-tokens", "200"]
    common += ["--cache", str(tmp_path / "cache"), "--device", "cpu"]
    calibration = ["--calibration", str(text), "--calibration-tokens", "256"]
    assert run(["build", *common, *calibration, "--recipe", str(recipe), "--out", str(tmp_path / "variant")]) == 0
    capsys.readouterr()
    out = ["--variant", str(tmp_path / "variant"), "--answer-tokens", "8", "--out", str(tmp_path / "page.html")]
    assert run(["report", *common, *out]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["documents"] == 2
    assert told["answers"]["dense"]["answers"] == told["answers"]["variant"]["answers"] == 1
    written = (tmp_path / "page.html").read_text()
    reading = Reading(written)
    assert reading.links == []
    assert {"script", "img", "link", "iframe"}.isdisjoint(reading.tags)
    assert "<td>animals</td>" in written
    assert all(stage in written for stage in ("dense", "pruned", "quantized", "exported"))
    other = save_checkpoint(tmp_path / "other", RandomDecoder(ffn_sizes=(96, 96)))
    arguments = ["report", *common, *out[:-1], str(tmp_path / "other.html"), "--model", str(other)]
    assert run(arguments) == 1
    assert "VARIANT_DIFFERS" in capsys.readouterr().err
    weights = tmp_path / "variant/model.onnx.data"
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    for content in (damaged, damaged[:-100]):
        weights.write_bytes(content)
        assert run(["report", *common, *out[:-1], str(tmp_path / "damaged.html")]) == 1
        assert f"VARIANT_DAMAGED: {weights}" in capsys.readouterr().err


def test_what_a_model_says_is_text_and_never_markup() -> None:
    quality = {"perplexity": 2.0, "bitsPerByte": 1.0, "agreement": 1.0, "kl": 0.0, "klHalfWidth": 0.0}
    evil = Answer("<script>alert(1)</script>", [7] * 11)
    report = {
        "achievedSparsity": 0.0,
        "requestedSparsity": 0.0,
        "stages": [
            {
                "stage": "exported",
                "quality": quality,
                "protocol": {"tokens": 1, "sequenceLength": 1, "engineVersion": "1"},
                "parameters": 1,
                "sizeBytes": 1,
            }
        ],
        "slices": [
            {"name": name, "tokens": 1, "dense": quality, "exported": quality | {"bitsPerByte": bits}}
            for name, bits in (("mild", 1.25), ("<s>", 2.5))
        ],
        "costs": [],
        "notes": ["<b>"],
    }
    written = page({"modelName": "<i>", "name": "x"}, report, [], [], [SideBySide("<u>", evil, Answer("", []))], 64)
    assert {"script", "i", "u", "b", "s"}.isdisjoint(Reading(written).tags)
    worst, mild = written.index("&lt;s&gt;"), written.index("mild")
    assert worst < written.index("+1.500") < mild < written.index("+0.250")
    assert "88% repeated: stuck" in written
    assert '<span class="stuck">empty</span>' in written


def test_a_family_without_gates_has_its_neurons_found_too(tmp_path: Path) -> None:
    dense = load(published(FAMILIES["opt"], tmp_path / "published")[1]).model
    cut = replace(whole(dense), neurons=(torch.arange(48), torch.arange(96), torch.arange(96)))
    exported = write_graph(apply_cut(dense, cut), VariantFormats(FP32, FP32), tmp_path)
    removed = removed_by_layer(dense, tmp_path, listed(exported))
    assert removed[0].neurons == (0.0,) * 24 + (1.0,) * 24
    assert "layer 0, neurons, run 47: 100% removed" in heat_map(removed)

"""Kits: graphs that run on weights which a device makes up, of sizes that tell the costs apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espalier_builder.contracts import digest_of_json, validate
from espalier_builder.export.decoder_spec import DecoderSpec, LayerSpec, spec_of
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.kit.build_kit import KIT_FILE, build_kit
from espalier_builder.kit.kit_sizes import kit_sizes, kit_spec
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.quantize.weight_format import FP32, WeightFormat, variant_formats
from random_decoder import RandomDecoder

FORMATS = [WeightFormat(8, 32, True, 4), WeightFormat(4, 32, False, 4), FP32]
MODEL_DIGEST = digest_of_json("a model")


def write_kit(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    digest = build_kit(spec_of(RandomDecoder().build()), MODEL_DIGEST, FORMATS, folder)
    kit: dict[str, Any] = json.loads((folder / KIT_FILE).read_bytes())
    assert digest == digest_of_json(kit)
    return kit


def test_every_graph_runs_on_made_up_weights_and_stays_finite(tmp_path: Path) -> None:
    kit = write_kit(tmp_path / "kit")
    validate("Kit", kit)
    for graph in kit["graphs"]:
        fill_weights(tmp_path / "kit", graph, kit["floatFill"])
        decoder = OnnxDecoder(tmp_path / "kit" / graph["graph"]["file"], threads=1)
        cache = decoder.cache(32)
        logits = np.concatenate([decoder.extend(cache, [1, 2, 3]), decoder.extend(cache, [4])])
        assert np.isfinite(logits).all()
        assert graph["shape"]["weightBytes"] == graph["weightsBytes"]
        assert len(graph["graph"]["layers"]) == graph["depth"]


def test_graphs_of_a_format_tell_fixed_cost_layers_and_columns_apart(tmp_path: Path) -> None:
    kit = write_kit(tmp_path / "kit")
    for weight_format in FORMATS:
        graphs = [graph for graph in kit["graphs"] if graph["format"] == weight_format.to_json()]
        unknowns = [[1, graph["depth"], graph["depth"] * graph["ffnSize"]] for graph in graphs]
        assert np.linalg.matrix_rank(np.array(unknowns)) == 3


def test_only_graphs_are_shipped_and_they_are_small(tmp_path: Path) -> None:
    kit = write_kit(tmp_path / "kit")
    assert [entry["path"] for entry in kit["files"]] == [graph["graph"]["file"] for graph in kit["graphs"]]
    assert all(entry["sizeBytes"] < 64 * 1024 for entry in kit["files"])
    assert not list((tmp_path / "kit").rglob("*.data"))


def test_the_same_request_gives_the_same_kit(tmp_path: Path) -> None:
    assert write_kit(tmp_path / "once") == write_kit(tmp_path / "again")


@pytest.mark.parametrize("ffn_size", [1, 7, 172, 352, 1536, 8192])
def test_sizes_stay_within_memory_for_small_and_large_models(ffn_size: int) -> None:
    hidden = max(64, ffn_size // 4)
    layer = LayerSpec(heads=8, kv_heads=4, ffn_size=ffn_size)
    spec = DecoderSpec(hidden, hidden // 8, 32_000, 131_072, 1e-5, True, (layer,) * 28)
    formats = variant_formats(FP32, hidden)
    sizes = kit_sizes(spec, formats)
    assert len({size.depth for size in sizes}) == 2
    assert all(1 <= size.ffn_size <= ffn_size for size in sizes)
    assert all(lay_out(kit_spec(spec, size), formats).total_bytes < 1.2e9 for size in sizes)


def fill_weights(folder: Path, graph: dict[str, Any], float_fill: float) -> None:
    """As a device does: random bytes, and the same float everywhere."""
    chance = np.random.default_rng(0)
    data = np.zeros(graph["weightsBytes"], np.uint8)
    for tensor in graph["tensors"]:
        end = tensor["offset"] + tensor["sizeBytes"]
        if tensor["dtype"] == "uint8":
            data[tensor["offset"] : end] = chance.integers(0, 256, tensor["sizeBytes"], dtype=np.uint8)
        else:
            data[tensor["offset"] : end] = np.full(tensor["sizeBytes"] // 4, float_fill, np.float32).view(np.uint8)
    (folder / graph["weightsFile"]).write_bytes(data.tobytes())

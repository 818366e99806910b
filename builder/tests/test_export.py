"""The exported graph computes what PyTorch computes: in one prefill, in pieces, and token by token in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from espalier_builder.checkpoint.load import load
from espalier_builder.contracts import Recipe
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.shape import variant_shape
from espalier_builder.export.weight_layout import WEIGHTS_FILE, lay_out
from espalier_builder.export.write_graph import write_graph
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.quantize.model import dequantized
from espalier_builder.quantize.weight_format import FP32, VariantFormats, WeightFormat, variant_formats
from random_decoder import RandomDecoder, torch_logits

TOKENS = [1, *range(3, 40)]
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
}
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
DECODERS = {
    "tied, layers of different widths": RandomDecoder(),
    "untied, with biases": RandomDecoder(tied=False, biases=True),
    "heads of 8, rotated outside the attention": RandomDecoder(hidden_size=64, heads=8, kv_heads=4),
    "rope scaled as llama 3": RandomDecoder(rope=LLAMA_3),
    "rope scaled by yarn": RandomDecoder(rope=YARN),
}
QUANTIZED = [
    WeightFormat(bits, block, symmetric, 0) for bits in (4, 8) for block in (32, 128) for symmetric in (True, False)
]


def three_ways(variant: OnnxDecoder, tokens: list[int]) -> Iterator[np.ndarray]:
    """Logits `[T, V]`: with a growing cache; prefilled in two pieces, then token by token, in a fixed cache."""
    yield variant.logits(tokens)
    cache = variant.cache(len(tokens) + 9)
    parts = [tokens[:7], tokens[7:12], *([token] for token in tokens[12:])]
    yield np.concatenate([variant.extend(cache, part) for part in parts])


@pytest.mark.parametrize("name", DECODERS)
def test_fp32_logits_differ_by_less_than_a_ten_thousandth_of_their_range(name: str, tmp_path: Path) -> None:
    model = DECODERS[name].build()
    write_graph(model, VariantFormats(FP32, FP32), tmp_path)
    assert_equal_to_torch(model, OnnxDecoder(tmp_path / GRAPH_FILE, threads=1), TOKENS)


@pytest.mark.parametrize("weight_format", QUANTIZED, ids=lambda weight_format: weight_format.key)
def test_quantized_logits_are_those_of_the_dequantized_weights(weight_format: WeightFormat, tmp_path: Path) -> None:
    model = RandomDecoder().build()
    assert_kernels_agree(model, weight_format, tmp_path)


def test_an_untied_head_is_quantized_on_its_own(tmp_path: Path) -> None:
    assert_kernels_agree(RandomDecoder(tied=False, biases=True).build(), WeightFormat(8, 32, True, 0), tmp_path)


def test_level_4_rounds_activations_but_computes_the_same_function(tmp_path: Path) -> None:
    model = RandomDecoder().build()
    formats = variant_formats(WeightFormat(8, 32, True, 4), 96)
    write_graph(model, formats, tmp_path)
    expected = torch_logits(dequantized(model, formats), TOKENS).numpy()
    for logits in three_ways(OnnxDecoder(tmp_path / GRAPH_FILE, threads=1), TOKENS):
        assert least_cosine(logits, expected) > 0.99


def test_logits_are_given_for_the_wanted_rows_only(tmp_path: Path) -> None:
    write_graph(RandomDecoder().build(), VariantFormats(FP32, FP32), tmp_path)
    variant = OnnxDecoder(tmp_path / GRAPH_FILE, threads=1)
    assert np.allclose(variant.logits(TOKENS, [5, 2]), variant.logits(TOKENS)[[5, 2]], atol=1e-5)


def test_a_tied_head_adds_no_bytes_and_the_shape_counts_every_one(tmp_path: Path) -> None:
    model = RandomDecoder().build()
    for linear in (FP32, WeightFormat(8, 32, True, 4), WeightFormat(4, 128, False, 4)):
        shape = variant_shape(model, Recipe(), linear)
        write_graph(
            model,
            VariantFormats(*map(WeightFormat.from_json, (shape["linearFormat"], shape["embeddingFormat"]))),
            tmp_path,
        )
        assert (tmp_path / WEIGHTS_FILE).stat().st_size == shape["weightBytes"]
        assert [layer["ffnSize"] for layer in shape["layers"]] == [160, 100]
        bytes_per_row = 96 + 4 * 3 if linear.quantized else 96 * 4
        assert shape["embeddingBytes"] == 130 * bytes_per_row
    untied = variant_shape(RandomDecoder(tied=False).build(), Recipe(), FP32)
    assert untied["embeddingBytes"] == 2 * 130 * 96 * 4


def test_equal_groups_have_equal_bytes_whatever_the_other_layers_are(tmp_path: Path) -> None:
    model, narrower = RandomDecoder().build(), RandomDecoder(ffn_sizes=(96, 100)).build()
    narrower.model.layers[1].load_state_dict(model.model.layers[1].state_dict())
    formats = variant_formats(WeightFormat(4, 32, False, 4), 96)
    groups = []
    for index, variant in enumerate((model, narrower)):
        folder = tmp_path / str(index)
        folder.mkdir()
        layout = write_graph(variant, formats, folder).layout
        group = next(group for group in layout.groups if group.name == "layers.1.ffn")
        groups.append((folder / WEIGHTS_FILE).read_bytes()[group.start : group.end])
    assert groups[0] == groups[1]


def test_tensors_lie_in_order_of_use_without_overlap() -> None:
    layout = lay_out(spec_of(RandomDecoder().build()), variant_formats(WeightFormat(4, 32, False, 4), 96))
    ends = [0, *(tensor.offset + tensor.size_bytes for tensor in layout.tensors)]
    assert all(
        tensor.offset >= end and tensor.offset % 64 == 0 for tensor, end in zip(layout.tensors, ends, strict=False)
    )
    names = [group.name for group in layout.groups]
    assert names == [
        "positions",
        "embedding",
        *(f"layers.{i}.{part}" for i in (0, 1) for part in ("attention", "ffn")),
        "head",
    ]


def test_a_rope_type_that_depends_on_the_length_is_refused(tmp_path: Path) -> None:
    model = RandomDecoder(rope={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}).build()
    with pytest.raises(BuilderError, match="dynamic") as caught:
        write_graph(model, VariantFormats(FP32, FP32), tmp_path)
    assert caught.value.code == "ROPE_UNSUPPORTED"


def test_the_dequantized_copy_leaves_the_model_alone_and_stays_tied() -> None:
    model = RandomDecoder().build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    copy = dequantized(model, variant_formats(WeightFormat(4, 32, False, 4), 96))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert copy.lm_head.weight is copy.model.embed_tokens.weight
    assert not torch.equal(copy.model.layers[0].mlp.up_proj.weight, before["model.layers.0.mlp.up_proj.weight"])
    assert torch.equal(copy.model.norm.weight, before["model.norm.weight"])


@pytest.mark.parametrize("name", ["stories260K", "babyllama-1M"])
def test_trained_models_keep_their_logits(name: str, tmp_path: Path) -> None:
    data = Path(os.environ.get("ESPALIER_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (data / "models" / name).is_dir():
        pytest.skip(f"no {data}: the trained model {name} was not checked")
    checkpoint = load(data / "models" / name)
    tokens = checkpoint.tokenizer("Once upon a time, there was a little girl named Lily. She loved to play.").input_ids
    write_graph(checkpoint.model, VariantFormats(FP32, FP32), tmp_path)
    assert_equal_to_torch(checkpoint.model, OnnxDecoder(tmp_path / GRAPH_FILE, threads=1), tokens)
    assert_kernels_agree(checkpoint.model, WeightFormat(4, 32, False, 0), tmp_path, tokens)


def assert_equal_to_torch(model: LlamaForCausalLM, variant: OnnxDecoder, tokens: list[int]) -> None:
    expected = torch_logits(model, tokens).numpy()
    for logits in three_ways(variant, tokens):
        assert np.abs(logits - expected).max() < 1e-4 * (expected.max() - expected.min())


def assert_kernels_agree(
    model: LlamaForCausalLM, weight_format: WeightFormat, folder: Path, tokens: list[int] | None = None
) -> None:
    """Exported at accuracy level 0 against PyTorch on the same de-quantized weights."""
    tokens = tokens or TOKENS
    formats = variant_formats(weight_format, model.config.hidden_size)
    write_graph(model, formats, folder)
    expected = torch_logits(dequantized(model, formats), tokens).numpy()
    for logits in three_ways(OnnxDecoder(folder / GRAPH_FILE, threads=1), tokens):
        assert least_cosine(logits, expected) > 0.99999
        assert (logits.argmax(-1) == expected.argmax(-1)).all()


def least_cosine(left: np.ndarray, right: np.ndarray) -> float:
    norms = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    return float(((left * right).sum(-1) / norms).min())

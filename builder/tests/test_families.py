"""Each family beside transformers: the same logits, before and after saving, pruned, and as an exported graph."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import ffn_widths, heads_of
from espalier_builder.checkpoint.load import load
from espalier_builder.checkpoint.save import save
from espalier_builder.contracts import Recipe
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.shape import variant_shape
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.export.write_graph import write_graph
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.prune.cut import Cut, apply_cut, channels, whole
from espalier_builder.quantize.weight_format import FP32, VariantFormats
from tiny_llama import VOCABULARY, random_rows, tiny_tokenizer

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**SIZES, "intermediate_size": 96, "num_key_value_heads": 2}
FAMILIES: dict[str, PreTrainedConfig] = {
    "llama with biases": LlamaConfig(**GROUPED, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**GROUPED, tie_word_embeddings=True),
    "qwen3, heads wider than the hidden size": Qwen3Config(**GROUPED, head_dim=32),
    "qwen3, heads of 24": Qwen3Config(**GROUPED, head_dim=24, tie_word_embeddings=True),
    "mistral without a window": MistralConfig(**GROUPED, sliding_window=None),
    "opt": OPTConfig(**SIZES, ffn_dim=96),
}
QWEN2_WINDOW = Qwen2Config(**GROUPED, use_sliding_window=True, sliding_window=24, max_window_layers=1)
TOKENS = random_rows(1, 30)


def published(config: PreTrainedConfig, folder: Path) -> tuple[PreTrainedModel, Path]:
    """Transformers' model with random weights, norms and biases, and the checkpoint that transformers makes of it."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        parameter.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return model, folder


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_computes_what_transformers_does_and_survives_saving(name: str, tmp_path: Path) -> None:
    model, folder = published(FAMILIES[name], tmp_path / "published")
    expected = model(TOKENS).logits
    loaded = load(folder)
    assert torch.allclose(loaded.model(TOKENS).logits, expected, atol=1e-5)
    assert spec_of(loaded.model).parameters == sum(each.numel() for each in model.parameters()) - unused_rows(model)
    save(loaded, tmp_path / "saved")
    assert torch.equal(load(tmp_path / "saved").model(TOKENS).logits, loaded.model(TOKENS).logits)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved").eval()
    assert torch.allclose(again(TOKENS).logits, expected, atol=1e-5)


def unused_rows(model: PreTrainedModel) -> int:
    """Parameters of the two rows of OPT's positions that no token uses."""
    return 2 * model.config.hidden_size if model.config.model_type == "opt" else 0


@pytest.mark.parametrize("name", FAMILIES)
def test_the_exported_graph_gives_the_same_logits_with_and_without_a_cache(name: str, tmp_path: Path) -> None:
    model, folder = published(FAMILIES[name], tmp_path / "published")
    write_graph(load(folder).model, VariantFormats(FP32, FP32), tmp_path)
    assert_equal(model(TOKENS).logits[0], OnnxDecoder(tmp_path / GRAPH_FILE, threads=1))


@pytest.mark.parametrize("name", FAMILIES)
def test_heads_and_neurons_leave_each_layer_by_its_own_measure(name: str, tmp_path: Path) -> None:
    """Cutting out is zeroing: the smaller model computes what the published one does with those weights at zero."""
    folder = published(FAMILIES[name], tmp_path / "published")[1]
    checkpoint = load(folder)
    kv_heads = heads_of(checkpoint.model)[0][1]
    cut = replace(
        whole(checkpoint.model),
        neurons=(torch.arange(32), torch.arange(0, 96, 3), torch.arange(96)),
        groups=(torch.arange(1, kv_heads), torch.arange(kv_heads), torch.arange(kv_heads - 1)),
    )
    pruned = apply_cut(checkpoint.model, cut)
    assert ffn_widths(pruned) == [32, 32, 96]
    assert torch.allclose(pruned(TOKENS).logits, zeroed(load(folder), cut).model(TOKENS).logits, atol=1e-5)
    save(Checkpoint(pruned, checkpoint.tokenizer, "pruned"), tmp_path / "pruned")
    again = load(tmp_path / "pruned").model
    assert heads_of(again) == heads_of(pruned)
    assert torch.equal(again(TOKENS).logits, pruned(TOKENS).logits)
    write_graph(again, VariantFormats(FP32, FP32), tmp_path)
    assert_equal(pruned(TOKENS).logits[0], OnnxDecoder(tmp_path / GRAPH_FILE, threads=1))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_shape_tells_how_many_matrices_the_feed_forward_layers_have(name: str, tmp_path: Path) -> None:
    model = load(published(FAMILIES[name], tmp_path)[1]).model
    layout = lay_out(spec_of(model), VariantFormats(FP32, FP32))
    weights = [tensor for tensor in layout.tensors if tensor.name.startswith("layers.0.ffn.")]
    elements = sum(math.prod(tensor.shape) for tensor in weights if tensor.name.endswith(".weight"))
    matrices = 2 if variant_shape(model, Recipe(), FP32).get("ungatedFfn") else 3
    assert elements == matrices * 64 * 96
    assert matrices == (2 if name == "opt" else 3)


def zeroed(checkpoint: Checkpoint, cut: Cut) -> Checkpoint:
    """The dense model with the columns of o_proj and down_proj that read what `cut` removes set to zero."""
    for index, layer in enumerate(checkpoint.model.model.layers):
        width = layer.self_attn.o_proj.in_features // heads_of(checkpoint.model)[index][1]
        for linear, kept in (
            (layer.self_attn.o_proj, channels(cut.groups[index], width)),
            (layer.mlp.down_proj, cut.neurons[index]),
        ):
            linear.weight = torch.nn.Parameter(
                torch.zeros_like(linear.weight).index_copy(1, kept, linear.weight[:, kept])
            )
    return checkpoint


@pytest.mark.parametrize(
    "config", [MistralConfig(**GROUPED, sliding_window=24), QWEN2_WINDOW], ids=["mistral", "qwen2"]
)
def test_the_context_ends_with_the_attention_window(config: PreTrainedConfig, tmp_path: Path) -> None:
    model, folder = published(config, tmp_path / "published")
    checkpoint = load(folder)
    assert "window of 24 tokens" in checkpoint.notes[0]
    write_graph(checkpoint.model, VariantFormats(FP32, FP32), tmp_path)
    assert spec_of(checkpoint.model).context_length == 24
    variant = OnnxDecoder(tmp_path / GRAPH_FILE, threads=1)
    assert np.allclose(variant.logits(TOKENS[0, :24].tolist()), model(TOKENS[:, :24]).logits[0], atol=1e-4)


@pytest.mark.parametrize("change", [{"do_layer_norm_before": False}, {"word_embed_proj_dim": 32}])
def test_the_variant_of_opt_that_normalises_afterwards_is_refused_by_name(
    change: dict[str, object], tmp_path: Path
) -> None:
    folder = published(OPTConfig(**SIZES, ffn_dim=96, **change), tmp_path)[1]
    with pytest.raises(BuilderError, match=next(iter(change))) as caught:
        load(folder)
    assert caught.value.code == "CONFIG_INVALID"


def test_a_missing_tensor_has_its_published_name(tmp_path: Path) -> None:
    folder = published(FAMILIES["opt"], tmp_path)[1]
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.decoder.layers.1.fc2.bias")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BuilderError, match=r"tensor model\.decoder\.layers\.1\.fc2\.bias is missing"):
        load(folder)


def assert_equal(expected: torch.Tensor, variant: OnnxDecoder) -> None:
    """Prefill at once, and in pieces and token by token in a fixed cache, give PyTorch's logits `[T, V]`."""
    tokens = TOKENS[0].tolist()
    cache = variant.cache(len(tokens) + 3)
    pieces = [variant.extend(cache, part) for part in (tokens[:7], tokens[7:12], *([each] for each in tokens[12:]))]
    spread = float(expected.max() - expected.min())
    for logits in (variant.logits(tokens), np.concatenate(pieces)):
        assert np.abs(logits - expected.numpy()).max() < 1e-4 * spread

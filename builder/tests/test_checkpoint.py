"""Checkpoints: round trips, and a refusal by name for everything that isn't safe or whole."""

from __future__ import annotations

import ctypes
import json
import pickle
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import ffn_widths, heads_of
from espalier_builder.checkpoint.load import load
from espalier_builder.checkpoint.save import save
from espalier_builder.failure import BuilderError
from espalier_builder.prune.cut import apply_cut, whole
from random_decoder import RandomDecoder
from tiny_llama import random_rows, tiny_checkpoint, tiny_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tiny_checkpoint(), tmp_path / "tiny")
    return tmp_path / "tiny"


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(path: Path) -> BuilderError:
    with pytest.raises(BuilderError) as caught:
        load(path)
    return caught.value


def test_a_saved_checkpoint_gives_the_same_logits(folder: Path) -> None:
    rows = random_rows()
    expected = tiny_checkpoint().model(rows).logits
    loaded = load(folder)
    assert torch.equal(loaded.model(rows).logits, expected)
    assert loaded.tokenizer("abc", add_special_tokens=False).input_ids == [3, 4, 5]
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight


def test_widths_that_differ_by_layer_survive_saving(tmp_path: Path) -> None:
    dense = tiny_checkpoint()
    kept = [torch.arange(count) for count in (8, 48, 24)]
    pruned = apply_cut(dense.model, replace(whole(dense.model), neurons=tuple(kept)))
    save(Checkpoint(pruned, dense.tokenizer, "pruned"), tmp_path / "pruned")
    loaded = load(tmp_path / "pruned")
    assert ffn_widths(loaded.model) == [8, 48, 24]
    assert json.loads((tmp_path / "pruned/config.json").read_text())["layer_intermediate_sizes"] == [8, 48, 24]
    assert torch.equal(loaded.model(random_rows()).logits, pruned(random_rows()).logits)


def test_heads_that_differ_by_layer_and_output_biases_survive_saving(tmp_path: Path) -> None:
    dense = tiny_checkpoint()
    bias = torch.randn(32, generator=torch.Generator().manual_seed(0))
    cut = replace(
        whole(dense.model),
        groups=(torch.tensor([1]), torch.tensor([0, 1]), torch.tensor([0])),
        tensors={"model.layers.0.self_attn.o_proj.bias": bias, "model.layers.2.mlp.down_proj.bias": -bias},
    )
    pruned = apply_cut(dense.model, cut)
    save(Checkpoint(pruned, dense.tokenizer, "pruned"), tmp_path / "pruned")
    loaded = load(tmp_path / "pruned").model
    assert heads_of(loaded) == [(2, 1), (4, 2), (2, 1)]
    assert torch.equal(loaded.model.layers[0].self_attn.o_proj.bias, bias)
    assert loaded.model.layers[1].self_attn.o_proj.bias is None
    assert torch.equal(loaded(random_rows()).logits, pruned(random_rows()).logits)


def test_heads_that_no_layer_keeps_whole_leave_a_configuration_that_transformers_accepts(tmp_path: Path) -> None:
    checkpoint = Checkpoint(RandomDecoder(heads=8, kv_heads=4, ffn_sizes=(64, 64)).build(), tiny_tokenizer(), "heads")
    cut = replace(whole(checkpoint.model), groups=(torch.tensor([0, 1, 3]), torch.tensor([1, 2, 3])))
    pruned = apply_cut(checkpoint.model, cut)
    save(Checkpoint(pruned, checkpoint.tokenizer, "pruned"), tmp_path / "pruned")
    config = json.loads((tmp_path / "pruned/config.json").read_text())
    assert LlamaConfig(**config).num_attention_heads == 8
    assert config["layer_attention_heads"] == [6, 6]
    assert heads_of(load(tmp_path / "pruned").model) == [(6, 3), (6, 3)]


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    assert refusal(tmp_path).code == "CHECKPOINT_PICKLE"
    assert refusal(tmp_path / "pytorch_model.bin").code == "CHECKPOINT_PICKLE"


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused(folder: Path, file: str) -> None:
    edit(folder / file, auto_map={"AutoModelForCausalLM": "evil.Model"})
    error = refusal(folder)
    assert error.code == "REMOTE_CODE"
    assert file in str(error)


def test_another_architecture_is_refused_by_name(folder: Path) -> None:
    edit(folder / "config.json", model_type="mamba", architectures=["MambaForCausalLM"])
    error = refusal(folder)
    assert error.code == "ARCHITECTURE_UNSUPPORTED"
    assert "MambaForCausalLM" in str(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": 7},
        {"model_type": ["llama"]},
        {"max_position_embeddings": 0},
        {"layer_intermediate_sizes": ["wide", 48, 48]},
        {"layer_attention_heads": "four", "layer_key_value_heads": None},
        {"layer_attention_heads": [4, 4, "4"], "layer_key_value_heads": [2, 2, 2]},
    ],
)
def test_a_configuration_of_another_shape_is_refused_by_its_file(folder: Path, changes: dict[str, object]) -> None:
    edit(folder / "config.json", **changes)
    error = refusal(folder)
    assert error.code in ("CONFIG_INVALID", "ARCHITECTURE_UNSUPPORTED")
    assert str(folder) in str(error)


def test_a_tokenizer_with_more_tokens_than_the_model_has_rows_is_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:20].contiguous()
    save_file(tensors, folder / "model.safetensors")
    edit(folder / "config.json", vocab_size=20)
    error = refusal(folder)
    assert error.code == "TOKENIZER_MISMATCH"
    assert "tokenizer.json" in str(error)
    assert "model.embed_tokens.weight has 20 rows" in str(error)


def test_rows_without_a_token_are_padding_and_many_of_them_are_noted(folder: Path) -> None:
    tensors, tokens = load_file(folder / "model.safetensors"), len(tiny_tokenizer())
    embedding = tensors["model.embed_tokens.weight"].repeat(2, 1)
    for rows, noted in ((tokens + 2, False), (2 * tokens, True)):
        save_file(tensors | {"model.embed_tokens.weight": embedding[:rows].clone()}, folder / "model.safetensors")
        edit(folder / "config.json", vocab_size=rows)
        notes = load(folder).notes
        assert any(f"{rows - tokens} of the embedding's {rows} rows" in note for note in notes) == noted


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_weight_is_refused_by_its_name(folder: Path, value: float) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = value
    save_file(tensors, folder / "model.safetensors")
    error = refusal(folder)
    assert error.code == "TENSOR_NOT_FINITE"
    assert "model.layers.1.mlp.up_proj.weight" in str(error)


def test_a_truncated_file_is_refused_by_its_name(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    error = refusal(folder)
    assert error.code == "CHECKPOINT_TRUNCATED"
    assert "model.safetensors" in str(error)


@pytest.fixture
def sharded(folder: Path) -> Path:
    """The same checkpoint in two shards and their index, as larger models come, in either half precision."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[:12], "model-00002-of-00002.safetensors": names[12:]}
    for (shard, held), dtype in zip(shards.items(), (torch.bfloat16, torch.float16), strict=True):
        save_file({name: tensors[name].to(dtype) for name in held}, folder / shard)
    index = {"weight_map": {name: shard for shard, held in shards.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards_make_one_fp32_model(sharded: Path) -> None:
    dense = tiny_checkpoint().model.state_dict()
    loaded = load(sharded).model.state_dict()
    assert loaded.keys() == dense.keys()
    for shard, dtype in (("model-00001-of-00002", torch.bfloat16), ("model-00002-of-00002", torch.float16)):
        for name, stored in load_file(sharded / f"{shard}.safetensors").items():
            assert torch.equal(stored, dense[name].to(dtype))
            assert torch.equal(loaded[name], stored.float())


def test_a_truncated_or_missing_shard_is_refused_by_its_name(sharded: Path) -> None:
    second = sharded / "model-00002-of-00002.safetensors"
    second.write_bytes(second.read_bytes()[:-10])
    assert refusal(sharded).code == "CHECKPOINT_TRUNCATED"
    assert second.name in str(refusal(sharded))
    second.unlink()
    assert refusal(sharded).code == "CHECKPOINT_TRUNCATED"
    assert second.name in str(refusal(sharded))


def test_shards_that_are_links_are_read_as_hugging_faces_cache_has_them(sharded: Path) -> None:
    for shard in sharded.glob("*.safetensors"):
        blob = sharded.parent / shard.stem
        shard.rename(blob)
        shard.symlink_to(blob)
    assert load(sharded).model.config.num_hidden_layers == 3


def test_an_index_that_leads_out_of_the_folder_or_nowhere_is_refused(sharded: Path) -> None:
    index = sharded / "model.safetensors.index.json"
    (sharded / "model-00002-of-00002.safetensors").rename(sharded.parent / "elsewhere.safetensors")
    edit(index, weight_map={"model.norm.weight": "../elsewhere.safetensors"})
    error = refusal(sharded)
    assert error.code == "CHECKPOINT_UNTRUSTED"
    assert "elsewhere.safetensors" in str(error)
    for damaged in (None, ["model-00001-of-00002.safetensors"], {"model.norm.weight": 1}):
        edit(index, weight_map=damaged)
        assert refusal(sharded).code == "CONFIG_INVALID"


def test_an_index_that_disagrees_with_its_shards_is_refused_by_tensor(sharded: Path) -> None:
    index, shards = sharded / "model.safetensors.index.json", sorted(sharded.glob("*.safetensors"))
    named = json.loads(index.read_text())["weight_map"]
    edit(index, weight_map=named | {"model.layers.9.mlp.up_proj.weight": shards[0].name})
    error = refusal(sharded)
    assert error.code == "TENSOR_MISSING"
    assert f"{shards[0]}: tensor model.layers.9.mlp.up_proj.weight" in str(error)
    moved = next(name for name, shard in named.items() if shard == shards[0].name)
    edit(index, weight_map=named | {moved: shards[1].name})
    assert f"{shards[1]}: tensor {moved}" in str(refusal(sharded))


def test_a_tensor_in_two_files_is_refused_since_either_may_be_meant(sharded: Path) -> None:
    first, second = sorted(sharded.glob("*.safetensors"))
    twice = min(load_file(first))
    save_file(load_file(second) | {twice: torch.zeros_like(load_file(first)[twice])}, second)
    for indexed in (True, False):
        if not indexed:
            (sharded / "model.safetensors.index.json").unlink()
        error = refusal(sharded)
        assert error.code == "TENSOR_TWICE"
        assert f"{second}: tensor {twice}" in str(error)
        assert str(first) in str(error)


def test_whole_numbers_without_their_scales_are_no_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    save_file(tensors | {name: tensors[name].to(torch.int8)}, folder / "model.safetensors")
    error = refusal(folder)
    assert error.code == "TENSOR_TYPE"
    assert f"tensor {name} holds int8" in str(error)


def test_a_broken_weight_is_refused_with_the_name_of_its_shard(sharded: Path) -> None:
    second = sharded / "model-00002-of-00002.safetensors"
    tensors = load_file(second)
    name = max(tensors)
    tensors[name].view(-1)[-1] = float("nan")
    save_file(tensors, second)
    error = refusal(sharded)
    assert error.code == "TENSOR_NOT_FINITE"
    assert f"{second}: tensor {name}" in str(error)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a process's peak memory")
def test_loading_holds_the_fp32_model_and_at_most_a_shard_beside_it(tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(vocab_size=512, hidden_size=512, intermediate_size=2048, num_hidden_layers=8))
    model.bfloat16().save_pretrained(tmp_path, max_shard_size="20MB")
    tiny_tokenizer().save_pretrained(tmp_path)
    sizes = [shard.stat().st_size for shard in tmp_path.glob("*.safetensors")]
    assert len(sizes) > 3
    del model
    # Pages that malloc kept from before would hide what loading takes.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_memory_bytes()
    loaded = load(tmp_path)
    assert loaded.model.dtype == torch.float32
    assert peak_memory_bytes() - before < 2 * sum(sizes) + 1.5 * max(sizes)


def peak_memory_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_a_missing_tensor_and_a_wrong_shape_are_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    norm = tensors.pop("model.norm.weight")
    save_file(tensors, folder / "model.safetensors")
    assert "model.norm.weight" in str(refusal(folder))
    save_file(tensors | {"model.norm.weight": norm[:-1].clone()}, folder / "model.safetensors")
    assert refusal(folder).code == "TENSOR_SHAPE"


def test_a_missing_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert refusal(folder).code == "TOKENIZER_MISSING"


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "CHECKPOINT_UNKNOWN"
    assert refusal(tmp_path / "absent").code == "CHECKPOINT_NOT_FOUND"


def write_gguf(
    path: Path,
    architecture: str = "llama",
    *,
    broken: dict[str, torch.Tensor] | None = None,
    head_count: int = 4,
    more_tokens: int = 0,
) -> Checkpoint:
    """The tiny model as llama.cpp's converter writes it: its names, rotary pairs interleaved in queries and keys.

    `broken` replaces tensors by their names; `more_tokens` have no row of the embedding.
    """
    checkpoint = tiny_checkpoint()
    model = checkpoint.model
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(3)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(48)
    writer.add_head_count(head_count)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    letters = ["<unk>", "<s>", "</s>", *(chr(0x100 + index) for index in range(44)), "Āā"]
    letters += [f"more {index}" for index in range(more_tokens)]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(letters)
    writer.add_token_types([3, 3, 3] + [1] * (len(letters) - 3))
    writer.add_token_merges(["Ā ā"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)

    def add(name: str, weight: torch.Tensor) -> None:
        writer.add_tensor(name, np.ascontiguousarray((broken or {}).get(name, weight).numpy()))

    add("token_embd.weight", model.model.embed_tokens.weight)
    add("output_norm.weight", model.model.norm.weight)
    for index, layer in enumerate(model.model.layers):
        attention, mlp = layer.self_attn, layer.mlp
        add(f"blk.{index}.attn_norm.weight", layer.input_layernorm.weight)
        add(f"blk.{index}.ffn_norm.weight", layer.post_attention_layernorm.weight)
        add(f"blk.{index}.attn_q.weight", attention.q_proj.weight.view(4, 2, 4, 32).swapaxes(1, 2).reshape(32, 32))
        add(f"blk.{index}.attn_k.weight", attention.k_proj.weight.view(2, 2, 4, 32).swapaxes(1, 2).reshape(16, 32))
        add(f"blk.{index}.attn_v.weight", attention.v_proj.weight)
        add(f"blk.{index}.attn_output.weight", attention.o_proj.weight)
        add(f"blk.{index}.ffn_gate.weight", mlp.gate_proj.weight)
        add(f"blk.{index}.ffn_up.weight", mlp.up_proj.weight)
        add(f"blk.{index}.ffn_down.weight", mlp.down_proj.weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return checkpoint


def test_a_gguf_file_gives_the_model_it_was_made_of(tmp_path: Path) -> None:
    expected = write_gguf(tmp_path / "tiny.gguf").model(random_rows()).logits
    loaded = load(tmp_path / "tiny.gguf")
    assert torch.allclose(loaded.model(random_rows()).logits, expected, atol=1e-5)
    assert loaded.notes == ()
    assert ffn_widths(load(tmp_path).model) == [48, 48, 48]


def test_code_beside_a_gguf_file_is_never_run_nor_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(
        f"open({str(ran)!r}, 'w')\nfrom transformers import PreTrainedTokenizerFast as T\n"
    )
    asks = {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(asks | {"tokenizer_class": "T"}))
    (tmp_path / "config.json").write_text(json.dumps(asks | {"model_type": "evil"}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    assert load(tmp_path / "tiny.gguf").tokenizer.convert_tokens_to_ids("Āā") == 47
    assert not ran.exists()


def test_a_gguf_file_cut_short_or_of_another_architecture_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    whole = (tmp_path / "tiny.gguf").read_bytes()
    for size in (100, len(whole) - 4096):
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        assert refusal(tmp_path / "cut.gguf").code == "CHECKPOINT_TRUNCATED"
    write_gguf(tmp_path / "other.gguf", "qwen2")
    assert refusal(tmp_path / "other.gguf").code == "ARCHITECTURE_UNSUPPORTED"


@pytest.mark.parametrize(
    ("name", "weight", "code"),
    [
        ("blk.1.ffn_up.weight", torch.full((48, 32), float("nan")), "TENSOR_NOT_FINITE"),
        ("blk.1.attn_q.weight", torch.zeros(30, 32), "TENSOR_SHAPE"),
        ("blk.1.attn_q.weight", torch.zeros(1024), "TENSOR_SHAPE"),
        ("output_norm.weight", torch.ones(32, dtype=torch.int32), "TENSOR_TYPE"),
    ],
)
def test_a_broken_tensor_of_a_gguf_file_is_refused_by_the_name_that_it_has_there(
    tmp_path: Path, name: str, weight: torch.Tensor, code: str
) -> None:
    write_gguf(tmp_path / "tiny.gguf", broken={name: weight})
    error = refusal(tmp_path / "tiny.gguf")
    assert error.code == code
    assert str(tmp_path / "tiny.gguf") in str(error)
    assert name in str(error)


def test_a_gguf_file_whose_heads_or_tokens_do_not_fit_its_weights_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "heads.gguf", head_count=0)
    assert refusal(tmp_path / "heads.gguf").code == "CONFIG_INVALID"
    write_gguf(tmp_path / "tokens.gguf", more_tokens=20)
    error = refusal(tmp_path / "tokens.gguf")
    assert error.code == "TOKENIZER_MISMATCH"
    assert "tokens.gguf" in str(error)
    assert "token_embd.weight has 48 rows" in str(error)

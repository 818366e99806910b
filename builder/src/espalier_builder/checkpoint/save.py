"""Writing checkpoints that transformers' tools and `load` can read."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from safetensors.torch import save_file

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import HEAD, HEADS, KV_HEADS, MASK, WIDTHS, ffn_widths, heads_of
from espalier_builder.checkpoint.family import family_of


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write config.json, model.safetensors (fp32, standard names, a tied head left out) and the tokenizer.

    Where layers differ in FFN width, config.json lists the widths under `layer_intermediate_sizes` and gives the widest
    as `intermediate_size`; heads that differ are listed under `layer_attention_heads` and `layer_key_value_heads`. The
    method of a mask is its `mask_method`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model, family = checkpoint.model, family_of(checkpoint.model)
    widths, heads = ffn_widths(model), heads_of(model)
    sizes = copy.deepcopy(model.config)
    sizes.num_hidden_layers, sizes.intermediate_size = len(widths), max(widths)
    config = family.write(sizes) | {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "head_dim": model.model.layers[0].self_attn.head_dim,
        "tie_word_embeddings": model.config.tie_word_embeddings,
    }
    for key in (WIDTHS, HEADS, KV_HEADS):
        config.pop(key, None)
    if checkpoint.mask is not None:
        config[MASK] = checkpoint.mask
    if len(set(widths)) > 1:
        config[WIDTHS] = widths
    # The numbers beside the lists stay the dense model's: transformers refuses those that don't divide the hidden size.
    if set(heads) != {(model.config.num_attention_heads, model.config.num_key_value_heads)}:
        config |= {HEADS: [query for query, _ in heads], KV_HEADS: [kv for _, kv in heads]}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
    tied = model.config.tie_word_embeddings
    tensors = {
        family.published_name(name): tensor.contiguous()
        for name, tensor in model.state_dict().items()
        if not (tied and name == HEAD)
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoint.tokenizer.save_pretrained(str(folder))

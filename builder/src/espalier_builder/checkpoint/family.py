"""The families of decoders: how each one's configuration and tensors are named, and the model that they make.

In memory every family has LLaMA's modules under LLaMA's names, so no method asks which family it works on. What layers
may lack (a gate, biases, norms of heads) is read off the modules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaMLP
from transformers.models.mistral.modeling_mistral import MistralDecoderLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from espalier_builder.checkpoint.opt import OptConfig, OptFeedForward, OptForCausalLM

Json = dict[str, Any]
DecoderModel: TypeAlias = LlamaForCausalLM | Qwen2ForCausalLM | Qwen3ForCausalLM | MistralForCausalLM | OptForCausalLM
DecoderLayer: TypeAlias = LlamaDecoderLayer | Qwen2DecoderLayer | Qwen3DecoderLayer | MistralDecoderLayer
FeedForward: TypeAlias = LlamaMLP | OptFeedForward


@dataclass(frozen=True, slots=True)
class Family:
    """`read` makes a configuration of config.json's content, raising ValueError for a variant that isn't supported;
    `write` is its inverse. `renamed`: parts of tensor names as published and in memory, replaced in this order."""

    model_type: str
    architecture: str
    model: type[Any]
    read: Callable[[Json], PreTrainedConfig]
    write: Callable[[PreTrainedConfig], Json]
    renamed: tuple[tuple[str, str], ...] = ()

    def name_in_memory(self, published: str) -> str:
        for theirs, ours in self.renamed:
            published = published.replace(theirs, ours, 1)
        return published

    def published_name(self, name: str) -> str:
        for theirs, ours in reversed(self.renamed):
            name = name.replace(ours, theirs, 1)
        return name


def family_of(model: DecoderModel) -> Family:
    return FAMILIES[model.config.model_type]


def ffn_inputs(mlp: FeedForward) -> list[nn.Linear]:
    """The linears whose rows are FFN neurons, in the order in which they are exported: gate and up, or up alone."""
    return [linear for name in ("gate_proj", "up_proj") if (linear := getattr(mlp, name, None)) is not None]


def embed(model: DecoderModel, tokens: Tensor) -> Tensor:
    """The states `[B, T, H]` that enter the first layer, for token ids `[B, T]` from position 0 on."""
    states: Tensor = getattr(model.model, "embed", model.model.embed_tokens)(
        tokens.to(model.model.embed_tokens.weight.device)
    )
    return states


def _read_llama(config: Json) -> PreTrainedConfig:
    return LlamaConfig(**config)


def _write(config: PreTrainedConfig) -> Json:
    written: Json = config.to_diff_dict()
    return written


def _read_windowed(kind: type[Any]) -> Callable[[Json], PreTrainedConfig]:
    """A family whose attention may be limited to a window of tokens: what is in memory and what is exported attend to
    everything, so the context ends with the window. Within it the two are the same."""

    def read(values: Json) -> PreTrainedConfig:
        # One entry a layer: left out, since layers may have been dropped and none attends to a window below.
        config = kind(**{key: value for key, value in values.items() if key != "layer_types"})
        kinds = values.get("layer_types") or getattr(config, "layer_types", ["sliding_attention"])
        context = config.max_position_embeddings
        if config.sliding_window is not None and "sliding_attention" in kinds:
            context = min(context, config.sliding_window)
        everywhere = {"sliding_window": None, "use_sliding_window": False, "layer_types": None}
        known = {key: value for key, value in everywhere.items() if hasattr(config, key)}
        kept = {key: value for key, value in values.items() if key not in everywhere}
        return kind(**{**kept, **known, "max_position_embeddings": context})

    return read


_OPT_SIZES = (
    *(("ffn_dim", "intermediate_size"), ("activation_function", "hidden_act")),
    *((name, name) for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")),
    *((name, name) for name in ("max_position_embeddings", "tie_word_embeddings")),
    *((name, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")),
)


def _read_opt(config: Json) -> PreTrainedConfig:
    published = OPTConfig(**config)
    wanted = {
        "do_layer_norm_before": True,
        "_remove_final_layer_norm": False,
        "word_embed_proj_dim": published.hidden_size,
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
        "activation_function": "relu",
    }
    for key, value in wanted.items():
        if getattr(published, key) != value:
            raise ValueError(f"{key} is {getattr(published, key)!r}, only OPT with {value!r} is supported")
    sizes = {ours: getattr(published, theirs) for theirs, ours in _OPT_SIZES}
    return OptConfig(**sizes, head_dim=config.get("head_dim"), attention_bias=True, mlp_bias=True)


def _write_opt(config: PreTrainedConfig) -> Json:
    return {"model_type": "opt", **{theirs: getattr(config, ours) for theirs, ours in _OPT_SIZES}}


FAMILIES = {
    family.model_type: family
    for family in (
        Family("llama", "LlamaForCausalLM", LlamaForCausalLM, _read_llama, _write),
        Family("qwen2", "Qwen2ForCausalLM", Qwen2ForCausalLM, _read_windowed(Qwen2Config), _write),
        Family("qwen3", "Qwen3ForCausalLM", Qwen3ForCausalLM, _read_windowed(Qwen3Config), _write),
        Family("mistral", "MistralForCausalLM", MistralForCausalLM, _read_windowed(MistralConfig), _write),
        Family(
            "opt",
            "OPTForCausalLM",
            OptForCausalLM,
            _read_opt,
            _write_opt,
            renamed=(
                ("model.decoder.", "model."),
                ("model.final_layer_norm.", "model.norm."),
                (".self_attn_layer_norm.", ".input_layernorm."),
                (".final_layer_norm.", ".post_attention_layernorm."),
                (".self_attn.out_proj.", ".self_attn.o_proj."),
                (".fc1.", ".mlp.up_proj."),
                (".fc2.", ".mlp.down_proj."),
            ),
        ),
    )
}

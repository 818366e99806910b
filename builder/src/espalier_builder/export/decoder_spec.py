"""What a decoder's graph depends on: its sizes, layer by layer, without any weight."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import LlamaForCausalLM

from espalier_builder.failure import BuilderError


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """Sizes of one layer, and which of its matrices carry a bias."""

    heads: int
    kv_heads: int
    ffn_size: int
    qkv_bias: bool = False
    output_bias: bool = False
    gate_up_bias: bool = False
    down_bias: bool = False


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """Sizes of a LLaMA-family decoder. `context_length`: positions that the rotary tables cover."""

    hidden_size: int
    head_size: int
    vocabulary_size: int
    context_length: int
    norm_epsilon: float
    tied: bool
    layers: tuple[LayerSpec, ...]

    @property
    def non_embedding_parameters(self) -> int:
        """Parameters outside embedding and head, norms and biases included."""
        return self.hidden_size + sum(self._layer_parameters(layer) for layer in self.layers)

    @property
    def parameters(self) -> int:
        """All parameters; a tied pair of embedding and head counts once."""
        matrices = 1 if self.tied else 2
        return self.non_embedding_parameters + matrices * self.vocabulary_size * self.hidden_size

    def _layer_parameters(self, layer: LayerSpec) -> int:
        query = layer.heads * self.head_size
        packed = (layer.heads + 2 * layer.kv_heads) * self.head_size
        weights = self.hidden_size * (2 + packed + query + 3 * layer.ffn_size)
        biases = packed * layer.qkv_bias + self.hidden_size * (layer.output_bias + layer.down_bias)
        return weights + biases + 2 * layer.ffn_size * layer.gate_up_bias


def spec_of(model: LlamaForCausalLM) -> DecoderSpec:
    """Reads the sizes off the modules, so that pruned layers of different widths are described as they are.

    Raises BuilderError `ACTIVATION_UNSUPPORTED`.
    """
    config = model.config
    if config.hidden_act not in ("silu", "swish"):
        raise BuilderError(
            "ACTIVATION_UNSUPPORTED",
            f"hidden_act is {config.hidden_act!r} and the exporter knows SiLU feed-forward layers only",
            "use a checkpoint of the LLaMA family with hidden_act silu",
        )
    head_size = model.model.layers[0].self_attn.head_dim
    return DecoderSpec(
        hidden_size=config.hidden_size,
        head_size=head_size,
        vocabulary_size=model.model.embed_tokens.num_embeddings,
        context_length=config.max_position_embeddings,
        norm_epsilon=config.rms_norm_eps,
        tied=model.lm_head.weight is model.model.embed_tokens.weight,
        layers=tuple(
            LayerSpec(
                heads=layer.self_attn.q_proj.out_features // head_size,
                kv_heads=layer.self_attn.k_proj.out_features // head_size,
                ffn_size=layer.mlp.gate_proj.out_features,
                qkv_bias=layer.self_attn.q_proj.bias is not None,
                output_bias=layer.self_attn.o_proj.bias is not None,
                gate_up_bias=layer.mlp.gate_proj.bias is not None,
                down_bias=layer.mlp.down_proj.bias is not None,
            )
            for layer in model.model.layers
        ),
    )

"""What a decoder's graph depends on: its sizes, layer by layer, without any weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from espalier_builder.checkpoint.family import DecoderModel, ffn_inputs
from espalier_builder.failure import BuilderError


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """Sizes of one layer, and which of its matrices carry a bias. `gated`: SiLU of a gate, or else plain ReLU."""

    heads: int
    kv_heads: int
    ffn_size: int
    qkv_bias: bool = False
    output_bias: bool = False
    gate_up_bias: bool = False
    down_bias: bool = False
    gated: bool = True

    @property
    def ffn_rows(self) -> int:
        """Rows of the matrix that reads the FFN's input: of gate and up, or of up alone."""
        return self.ffn_size * (2 if self.gated else 1)


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """Sizes of a decoder. `context_length`: positions that its tables cover.

    `norm`: RMSNorm, or LayerNorm with biases. `positions` turn queries and keys, or are learned and added to the
    embeddings. `head_norms`: queries and keys are normalised by head before they are turned.
    """

    hidden_size: int
    head_size: int
    vocabulary_size: int
    context_length: int
    norm_epsilon: float
    tied: bool
    layers: tuple[LayerSpec, ...]
    norm: Literal["rms", "layer"] = "rms"
    positions: Literal["rotary", "learned"] = "rotary"
    head_norms: bool = False

    @property
    def non_embedding_parameters(self) -> int:
        """Parameters outside embeddings and head, norms and biases included."""
        return self._norm_parameters + sum(self._layer_parameters(layer) for layer in self.layers)

    @property
    def parameters(self) -> int:
        """All parameters; a tied pair of embedding and head counts once."""
        rows = self.vocabulary_size * (1 if self.tied else 2)
        rows += self.context_length if self.positions == "learned" else 0
        return self.non_embedding_parameters + rows * self.hidden_size

    @property
    def _norm_parameters(self) -> int:
        return self.hidden_size * (2 if self.norm == "layer" else 1)

    def _layer_parameters(self, layer: LayerSpec) -> int:
        query = layer.heads * self.head_size
        packed = (layer.heads + 2 * layer.kv_heads) * self.head_size
        norms = 2 * self._norm_parameters + 2 * self.head_size * self.head_norms
        weights = self.hidden_size * (packed + query + layer.ffn_rows + layer.ffn_size)
        biases = packed * layer.qkv_bias + self.hidden_size * (layer.output_bias + layer.down_bias)
        return norms + weights + biases + layer.ffn_rows * layer.gate_up_bias


def spec_of(model: DecoderModel) -> DecoderSpec:
    """Reads the sizes off the modules, so that pruned layers of different widths are described as they are.

    Raises BuilderError `ACTIVATION_UNSUPPORTED`.
    """
    config = model.config
    first = model.model.layers[0]
    gated = len(ffn_inputs(first.mlp)) == 2
    if config.hidden_act not in (("silu", "swish") if gated else ("relu",)):
        raise BuilderError(
            "ACTIVATION_UNSUPPORTED",
            f"hidden_act is {config.hidden_act!r} and the exporter knows gated SiLU and plain ReLU feed-forward layers",
            "use a checkpoint with hidden_act silu (OPT: relu)",
        )
    head_size = first.self_attn.head_dim
    layer_norms, learned = isinstance(model.model.norm, nn.LayerNorm), hasattr(model.model, "embed_positions")
    return DecoderSpec(
        hidden_size=config.hidden_size,
        head_size=head_size,
        vocabulary_size=model.model.embed_tokens.num_embeddings,
        context_length=config.max_position_embeddings,
        norm_epsilon=model.model.norm.eps if layer_norms else config.rms_norm_eps,
        tied=model.lm_head.weight is model.model.embed_tokens.weight,
        layers=tuple(
            LayerSpec(
                heads=layer.self_attn.q_proj.out_features // head_size,
                kv_heads=layer.self_attn.k_proj.out_features // head_size,
                ffn_size=layer.mlp.down_proj.in_features,
                qkv_bias=layer.self_attn.q_proj.bias is not None,
                output_bias=layer.self_attn.o_proj.bias is not None,
                gate_up_bias=layer.mlp.up_proj.bias is not None,
                down_bias=layer.mlp.down_proj.bias is not None,
                gated=gated,
            )
            for layer in model.model.layers
        ),
        norm="layer" if layer_norms else "rms",
        positions="learned" if learned else "rotary",
        head_norms=hasattr(first.self_attn, "q_norm"),
    )

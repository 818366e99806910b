"""Walking calibration rows through a decoder one layer at a time.

Shapes: N rows, T tokens a row, H hidden size, F FFN width of a layer. The hidden states of all rows lie in one
`[N, T, H]` fp32 tensor, so a layer's weights are touched once and a layer may be changed before its output is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderLayer, DecoderModel, embed, ffn_inputs

# Tokens handled at once: bounds the temporaries of a layer (3 of [tokens, F] fp32). Lowered where a GPU is too small.
BATCH_TOKENS: ContextVar[int] = ContextVar("BATCH_TOKENS", default=4096)


@dataclass(frozen=True, slots=True)
class Block:
    """One half of a layer, seen from its last linear layer, whose inputs are what structured pruning removes.

    `name` within the layer; `inner`: states `[n, T, H]` before the block to the inputs `[n * T, F]` of `linear`.
    """

    name: str
    linear: nn.Linear
    inner: Callable[[Tensor], Tensor]


class HiddenStates:
    """The residual stream of all calibration rows, at one depth of the model.

    `bf16` runs the linear layers in bfloat16 with fp32 residuals (see `precision.py`).
    """

    def __init__(self, model: DecoderModel, rows: Tensor, *, bf16: bool) -> None:
        self._bf16 = bf16
        self.states: Tensor = embed(model, rows).float()
        positions = torch.arange(rows.shape[1], device=self.states.device)[None]
        self._rotary = model.model.rotary_emb(self.states[:1], positions)

    @property
    def tokens(self) -> int:
        return self.states.shape[0] * self.states.shape[1]

    def batches(self) -> Iterator[Tensor]:
        """Views `[n, T, H]` of the states; what is written into them stays."""
        yield from self.states.split(max(1, BATCH_TOKENS.get() // self.states.shape[1]))

    def precision(self) -> torch.autocast:
        return torch.autocast(self.states.device.type, torch.bfloat16, enabled=self._bf16)

    def blocks(self, layer: DecoderLayer) -> tuple[Block, Block]:
        """The layer's halves, in their order."""
        return self.attention_block(layer), self.ffn_block(layer)

    def attention_block(self, layer: DecoderLayer) -> Block:
        """Attention: o_proj, and its inputs for states before attention."""

        def inner(states: Tensor) -> Tensor:
            caught: list[Tensor] = []
            hook = layer.self_attn.o_proj.register_forward_pre_hook(lambda _, args: caught.append(args[0]))
            try:
                with self.precision():
                    self._attention(layer, states)
            finally:
                hook.remove()
            return caught[0].flatten(0, 1)

        return Block("self_attn.o_proj", layer.self_attn.o_proj, inner)

    def ffn_block(self, layer: DecoderLayer) -> Block:
        """The FFN: down_proj, and its inputs for states after attention."""
        mlp = layer.mlp

        def inner(states: Tensor) -> Tensor:
            with self.precision():
                normed = layer.post_attention_layernorm(states)
                first, *others = (linear(normed) for linear in ffn_inputs(mlp))
                product: Tensor = math.prod(others, start=mlp.act_fn(first))
            return product.flatten(0, 1)

        return Block("mlp.down_proj", mlp.down_proj, inner)

    def add_output(self, states: Tensor, inner: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        """Add a block's output to `states` `[n, T, H]` in place, given the inputs `[n * T, F]` of its last linear layer
        and that layer's weight `[H, F]`."""
        with self.precision():
            states += nn.functional.linear(inner, weight, bias).view_as(states)

    def go_through(self, block: Block) -> None:
        """Take all states through the block as it is."""
        for states in self.batches():
            self.add_output(states, block.inner(states), block.linear.weight, block.linear.bias)

    def _attention(self, layer: DecoderLayer, states: Tensor) -> Tensor:
        attended: Tensor = layer.self_attn(
            hidden_states=layer.input_layernorm(states), position_embeddings=self._rotary, attention_mask=None
        )[0]
        return attended

"""Walking calibration rows through a LLaMA one layer at a time.

Shapes: N rows, T tokens a row, H hidden size, F FFN width of a layer. The hidden states of all rows lie in one
`[N, T, H]` fp32 tensor, so a layer's weights are touched once and a layer may be changed before its output is taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

# Tokens handled at once: bounds the temporaries of a layer (3 of [TOKENS, F] fp32).
TOKENS = 4096


class HiddenStates:
    """The residual stream of all calibration rows, at one depth of the model.

    `bf16` runs the linear layers in bfloat16 with fp32 residuals (see `precision.py`).
    """

    def __init__(self, model: LlamaForCausalLM, rows: Tensor, *, bf16: bool) -> None:
        self._bf16 = bf16
        self.states: Tensor = model.model.embed_tokens(rows).float()
        positions = torch.arange(rows.shape[1], device=rows.device)[None]
        self._rotary = model.model.rotary_emb(self.states[:1], positions)

    def batches(self) -> Iterator[Tensor]:
        """Views `[n, T, H]` of the states; what is written into them stays."""
        yield from self.states.split(max(1, TOKENS // self.states.shape[1]))

    def precision(self) -> torch.autocast:
        return torch.autocast(self.states.device.type, torch.bfloat16, enabled=self._bf16)

    def attend(self, layer: LlamaDecoderLayer) -> None:
        """Add the layer's attention to the states."""
        for states in self.batches():
            with self.precision():
                attended, _ = layer.self_attn(
                    hidden_states=layer.input_layernorm(states),
                    position_embeddings=self._rotary,
                    attention_mask=None,
                )
            states += attended

    def ffn_inner(self, layer: LlamaDecoderLayer, states: Tensor, order: Tensor | None = None) -> Tensor:
        """The input of down_proj, `[n * T, F]`, for states after attention `[n, T, H]`; neurons in `order` if given."""
        mlp = layer.mlp
        with self.precision():
            normed = layer.post_attention_layernorm(states)
            gate, up = _project(mlp.gate_proj, normed, order), _project(mlp.up_proj, normed, order)
            inner: Tensor = mlp.act_fn(gate) * up
        return inner.flatten(0, 1)

    def add_ffn(self, layer: LlamaDecoderLayer, states: Tensor, inner: Tensor) -> None:
        """Add the FFN's output to `states` `[n, T, H]` in place, given the input of down_proj `[n * T, F]`."""
        with self.precision():
            states += layer.mlp.down_proj(inner).view_as(states)


def _project(linear: nn.Linear, inputs: Tensor, order: Tensor | None) -> Tensor:
    if order is None:
        return linear(inputs)  # type: ignore[no-any-return]
    bias = None if linear.bias is None else linear.bias[order]
    return nn.functional.linear(inputs, linear.weight[order], bias)

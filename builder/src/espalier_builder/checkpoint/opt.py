"""OPT (Zhang et al., arXiv:2205.01068) in LLaMA's modules: what differs is replaced, the rest is transformers' LLaMA.

Learned positions are added to the embeddings and nothing is rotated; norms are LayerNorm with biases; feed-forward
layers have no gate. So every method that walks a LLaMA's layers walks an OPT's. Shapes: B rows, T tokens, H hidden
size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

# OPT's table of positions begins with two rows that no token uses.
POSITION_OFFSET = 2


class OptConfig(LlamaConfig):
    """OPT's sizes under LLaMA's names."""

    model_type = "opt"


class OptFeedForward(nn.Module):
    """`down(relu(up(x)))`."""

    def __init__(self, config: OptConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)
        self.act_fn = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.down_proj(self.act_fn(self.up_proj(inputs)))
        return output


class NoRotation(nn.Module):
    """Cosines of 1 and sines of 0: attention that rotates by them is attention without rotation, bit for bit."""

    def __init__(self, _config: OptConfig) -> None:
        super().__init__()

    def forward(self, states: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        ones = states.new_ones(1, position_ids.shape[1], 1)
        return ones, torch.zeros_like(ones)


class OptModel(LlamaModel):
    def __init__(self, config: OptConfig) -> None:
        super().__init__(config)
        self.embed_positions = nn.Embedding(config.max_position_embeddings + POSITION_OFFSET, config.hidden_size)
        self.rotary_emb = NoRotation(config)
        self.norm = nn.LayerNorm(config.hidden_size)
        for layer in self.layers:
            layer.input_layernorm = nn.LayerNorm(config.hidden_size)
            layer.post_attention_layernorm = nn.LayerNorm(config.hidden_size)
            layer.mlp = OptFeedForward(config)

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """`[B, T, H]` of token ids `[B, T]`, the first of them at position `start`."""
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        embedded: Tensor = self.embed_tokens(tokens) + self.embed_positions(positions + POSITION_OFFSET)
        return embedded

    def forward(self, input_ids: Tensor | None = None, **options: Any) -> Any:
        cache = options.get("past_key_values")
        if input_ids is not None:
            options["inputs_embeds"] = self.embed(input_ids, 0 if cache is None else cache.get_seq_length())
        return super().forward(**options)


class OptForCausalLM(LlamaForCausalLM):
    def __init__(self, config: OptConfig) -> None:
        super().__init__(config)
        self.model = OptModel(config)

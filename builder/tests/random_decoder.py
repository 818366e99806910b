"""Small LLaMAs with random weights, for tests that need a decoder and no language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.save import save


@dataclass(frozen=True, slots=True)
class RandomDecoder:
    """Sizes that are awkward on purpose: a hidden size that is no multiple of 128, grouped-query attention."""

    hidden_size: int = 96
    heads: int = 6
    kv_heads: int = 2
    ffn_sizes: tuple[int, ...] = (160, 100)
    vocabulary: int = 130
    context: int = 64
    tied: bool = True
    biases: bool = False
    rope: dict[str, object] | None = None

    def build(self, seed: int = 0) -> LlamaForCausalLM:
        torch.manual_seed(seed)
        config = LlamaConfig(
            hidden_size=self.hidden_size,
            intermediate_size=max(self.ffn_sizes),
            num_hidden_layers=len(self.ffn_sizes),
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            vocab_size=self.vocabulary,
            max_position_embeddings=self.context,
            tie_word_embeddings=self.tied,
            attention_bias=self.biases,
            mlp_bias=self.biases,
            initializer_range=0.15,
            rope_parameters=self.rope or {"rope_type": "default", "rope_theta": 10000.0},
            bos_token_id=1,
            eos_token_id=2,
        )
        model = LlamaForCausalLM(config).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
        for layer, width in zip(model.model.layers, self.ffn_sizes, strict=True):
            mlp = layer.mlp
            for linear in (mlp.gate_proj, mlp.up_proj):
                linear.weight = torch.nn.Parameter(linear.weight[:width].clone(), requires_grad=False)
                linear.out_features = width
                if linear.bias is not None:
                    linear.bias = torch.nn.Parameter(linear.bias[:width].clone(), requires_grad=False)
            mlp.down_proj.weight = torch.nn.Parameter(mlp.down_proj.weight[:, :width].clone(), requires_grad=False)
            mlp.down_proj.in_features = width
        return model


@torch.inference_mode()
def torch_logits(model: LlamaForCausalLM, tokens: list[int]) -> torch.Tensor:
    """`[T, V]` of PyTorch's forward pass."""
    logits: torch.Tensor = model(torch.tensor([tokens]), use_cache=False).logits[0]
    return logits


def save_checkpoint(folder: Path, decoder: RandomDecoder | None = None) -> Path:
    """A checkpoint folder with a tokenizer of single characters; returns the folder."""
    marks = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    alphabet = [*marks.values(), *(chr(code) for code in range(32, 127))]
    tokenizer = Tokenizer(WordLevel({token: index for index, token in enumerate(alphabet)}, unk_token=alphabet[0]))
    tokenizer.pre_tokenizer = Split("", "isolated")
    tokenizer.decoder = Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks)
    model = (decoder or RandomDecoder(ffn_sizes=(160, 160))).build()
    save(Checkpoint(model=model, tokenizer=fast, name="random"), folder)
    return folder

"""The shape of the tiny model, in the terms of its config.json.

Every width is a multiple of 32, most of 128: quantization blocks of 32 and 128 fit without padding, and pruning
in groups of 32 channels has room to choose.
"""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM

from vocabulary import BOS_ID, EOS_ID, PAD_ID

VOCAB_SIZE = 1024
CONTEXT = 512

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": VOCAB_SIZE,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "tie_word_embeddings": True,
    "bos_token_id": BOS_ID,
    "eos_token_id": EOS_ID,
    "pad_token_id": PAD_ID,
    "initializer_range": 0.02,
    "use_cache": True,
}


def new_model() -> LlamaForCausalLM:
    """About 1.31 million parameters, in fp32, initialized from torch's global generator."""
    return LlamaForCausalLM(LlamaConfig(**CONFIG))

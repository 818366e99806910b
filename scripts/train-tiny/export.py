"""Writes the best weights of a run as a model folder that transformers loads without custom code.

python scripts/train-tiny/export.py --work .espalier/train-tiny --out models/tiny
"""

import json
import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from architecture import CONFIG, CONTEXT
from checkpoint import TOKENIZER_FILE, load_best
from vocabulary import ASSISTANT, BOS, BOS_ID, EOS, EOS_ID, PAD, PAD_ID, SYSTEM, USER

CHAT_TEMPLATE_FILE = Path(__file__).parent / "chat_template.jinja"
ROLE_TOKENS = [SYSTEM, USER, ASSISTANT]


def tokenizer_config() -> dict[str, Any]:
    """The template rides along here, where every runtime looks for it."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "additional_special_tokens": ROLE_TOKENS,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": True,
        "add_eos_token": False,
        "chat_template": CHAT_TEMPLATE_FILE.read_text(encoding="utf-8").strip(),
    }


def generation_config() -> dict[str, Any]:
    return {
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        "pad_token_id": PAD_ID,
        "max_new_tokens": 384,
    }


def special_tokens_map() -> dict[str, Any]:
    return {
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "additional_special_tokens": ROLE_TOKENS,
    }


def stored_weights(work: Path) -> dict[str, torch.Tensor]:
    """bf16 tensors by name; the output matrix is the embedding, so it is stored once."""
    return {
        name: weight.to(torch.bfloat16).contiguous()
        for name, weight in load_best(work).items()
        if name != "lm_head.weight"
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def export(work: Path, out: Path) -> None:
    """Writes every file of the folder but its licence, its README and the sampled text."""
    out.mkdir(parents=True, exist_ok=True)
    save_file(stored_weights(work), out / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(work / TOKENIZER_FILE, out / "tokenizer.json")
    write_json(out / "config.json", {**CONFIG, "torch_dtype": "bfloat16"})
    write_json(out / "generation_config.json", generation_config())
    write_json(out / "tokenizer_config.json", tokenizer_config())
    write_json(out / "special_tokens_map.json", special_tokens_map())


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="the training run's folder")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    options = parser.parse_args()
    export(options.work, options.out)


if __name__ == "__main__":
    main()

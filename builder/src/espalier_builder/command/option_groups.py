"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

_FEWEST_TOKENS = 128
TEXT = "a .jsonl ({'text': ...} a line) or .txt file; not given: the model's own"


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="DIR|FILE.gguf",
        help="a folder with config.json, *.safetensors and tokenizer.json, or one GGUF file",
    )


def add_text(parser: argparse.ArgumentParser, *, evaluation_tokens: int) -> None:
    text = parser.add_argument_group("text", TEXT)
    text.add_argument("--eval", type=Path, metavar="FILE", help="what quality is measured on")
    text.add_argument("--eval-tokens", type=tokens, default=evaluation_tokens, metavar="N", help="default: %(default)s")
    add_calibration(text, sequence_length=512)


def add_evaluation(text: argparse._ArgumentGroup, *, required: bool) -> None:
    text.add_argument("--eval", type=Path, required=required, metavar="FILE", help="documents to compare on")
    text.add_argument("--eval-tokens", type=tokens, default=4096, metavar="N", help="of them in all; default: 4096")
    text.add_argument("--sequence-length", type=int, default=512, metavar="N", help="of each, at most; default: 512")
    text.add_argument("--seed", type=int, default=0, metavar="N", help="of every random choice; default: 0")


def add_calibration(text: argparse._ArgumentGroup, *, sequence_length: int) -> None:
    text.add_argument("--calibration", type=Path, metavar="FILE", help="what pruning learns from")
    text.add_argument("--calibration-tokens", type=tokens, default=16_384, metavar="N", help="default: 16384")
    text.add_argument(
        "--sequence-length",
        type=int,
        default=sequence_length,
        metavar="N",
        help="tokens a window; default: %(default)s",
    )
    text.add_argument("--seed", type=int, default=0, metavar="N", help="of every random choice; default: 0")


def add_alignment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alignment", type=int, default=32, metavar="N", help="of FFN widths; default: 32")


def add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="what to train on: .jsonl or .txt")
    parser.add_argument("--train", choices=("lora", "full"), default="lora", help="what is trained; default: lora")
    parser.add_argument("--rank", type=int, default=8, metavar="N", help="mean rank of the adapters; default: 8")
    parser.add_argument(
        "--ranks",
        choices=("importance", "uniform", "inverse"),
        default="uniform",
        help="how ranks differ by layer, at the same sum; default: uniform",
    )
    parser.add_argument("--distil", action="store_true", help="imitate the dense model's logits, not the text")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="of training, at most; default: 200")
    parser.add_argument("--batch-rows", type=int, default=4, metavar="N", help="rows a step; default: 4")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="X", help="its highest; default: 0.001")
    parser.add_argument("--sequence-length", type=int, default=512, metavar="N", help="tokens a row; default: 512")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of every random choice; default: 0")


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that does not exist yet")
    add_machine(parser)


def add_machine(parser: argparse.ArgumentParser) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "espalier-builder"
    parser.add_argument(
        "--cache", type=Path, default=cache, metavar="DIR", help="finished stages; default: %(default)s"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")


def tokens(text: str) -> int:
    value = int(text)
    if value < _FEWEST_TOKENS:
        raise argparse.ArgumentTypeError(f"{value} tokens are too few: at least {_FEWEST_TOKENS}")
    return value


def sparsity(text: str) -> float:
    """A share on the steps of the search: 0.05, 0.075, ..."""
    steps = (float(text) - 0.05) / 0.025
    if not 0.05 <= float(text) < 1 or abs(steps - round(steps)) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text} is not 0.05 and so many steps of 0.025")
    return float(text)


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def shares(text: str) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(","))
    if not all(0 < value < 1 for value in values):
        raise argparse.ArgumentTypeError(f"{text} holds a share that is not between 0 and 1")
    return values

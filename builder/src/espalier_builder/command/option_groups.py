"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

_FEWEST_TOKENS = 128
# Attention over less tells a method nothing.
_SHORTEST_ROW = 16
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
    text.add_argument(
        "--eval-tokens", type=tokens, default=evaluation_tokens, metavar="N", help="of it; default: %(default)s"
    )
    add_calibration(text, sequence_length=512)


def add_evaluation(text: argparse._ArgumentGroup, *, required: bool) -> None:
    text.add_argument("--eval", type=Path, required=required, metavar="FILE", help="documents to compare on")
    text.add_argument("--eval-tokens", type=tokens, default=4096, metavar="N", help="of them in all; default: 4096")
    text.add_argument("--sequence-length", type=row, default=512, metavar="N", help="of each, at most; default: 512")
    text.add_argument("--seed", type=seed, default=0, metavar="N", help="of every random choice; default: 0")


def add_calibration(text: argparse._ArgumentGroup, *, sequence_length: int) -> None:
    text.add_argument("--calibration", type=Path, metavar="FILE", help="what pruning learns from")
    text.add_argument("--calibration-tokens", type=tokens, default=16_384, metavar="N", help="of it; default: 16384")
    text.add_argument(
        "--sequence-length",
        type=row,
        default=sequence_length,
        metavar="N",
        help="tokens a window; default: %(default)s",
    )
    text.add_argument("--seed", type=seed, default=0, metavar="N", help="of every random choice; default: 0")
    text.add_argument(
        "--fp32",
        action="store_true",
        help="learn in fp32 only, to the digits of published figures; default: in bfloat16 where this machine has it",
    )


def add_alignment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--alignment", type=alignment, default=32, metavar="N", help="of FFN widths, in neurons; default: 32"
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="what to train on: .jsonl or .txt")
    parser.add_argument("--train", choices=("lora", "full"), default="lora", help="what is trained; default: lora")
    parser.add_argument("--rank", type=count, default=8, metavar="N", help="mean rank of the adapters; default: 8")
    parser.add_argument(
        "--ranks",
        choices=("importance", "uniform", "inverse"),
        default="uniform",
        help="how ranks differ by layer, at the same sum; default: uniform",
    )
    parser.add_argument("--distil", action="store_true", help="imitate the dense model's logits, not the text")
    parser.add_argument("--steps", type=count, default=200, metavar="N", help="of training, at most; default: 200")
    parser.add_argument("--batch-rows", type=count, default=4, metavar="N", help="rows a step; default: 4")
    parser.add_argument("--learning-rate", type=positive, default=1e-3, metavar="X", help="its highest; default: 0.001")
    parser.add_argument("--sequence-length", type=row, default=512, metavar="N", help="tokens a row; default: 512")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of every random choice; default: 0")


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that does not exist yet")
    add_machine(parser)


def add_machine(parser: argparse.ArgumentParser) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "espalier-builder"
    parser.add_argument(
        "--cache", type=Path, default=cache, metavar="DIR", help="finished stages; default: %(default)s"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto, a GPU where there is one"
    )


def tokens(text: str) -> int:
    return _whole(text, _FEWEST_TOKENS)


def row(text: str) -> int:
    return _whole(text, _SHORTEST_ROW)


def count(text: str) -> int:
    return _whole(text, 1)


def seed(text: str) -> int:
    return _whole(text, 0)


def alignment(text: str) -> int:
    return _whole(text, 1, 1024)


def _whole(text: str, least: int, most: int | None = None) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) and (most is None or int(text) <= most)):
        wanted = f"at least {least}" if most is None else f"between {least} and {most}"
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {wanted}")
    return int(text)


def positive(text: str) -> float:
    value = _number(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def share(text: str) -> float:
    value = _number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def sparsity(text: str) -> float:
    """A share on the steps of the search: 0.05, 0.075, ..."""
    steps = (share(text) - 0.05) / 0.025
    if not -1e-6 < steps < 26 + 1e-6 or abs(steps - round(steps)) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text} is not 0.05 and so many steps of 0.025, up to 0.7")
    return float(text)


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def shares(text: str) -> tuple[float, ...]:
    return tuple(share(part) for part in text.split(","))

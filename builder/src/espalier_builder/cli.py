"""`espalier-builder`: build a variant, judge candidates, make a measurement kit, or work off the queue."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from espalier_builder.command.commands import run_command
from espalier_builder.failure import BuilderError

_EXAMPLES = """\
examples:
  espalier-builder build --model ./SmolLM2 --recipe q8.json --calibration train.jsonl --eval valid.jsonl --out ./q8
  espalier-builder sensitivity --model ./SmolLM2 --candidates recipes.json --out ./sensitivity
  espalier-builder kit --model ./SmolLM2 --format q8b128 --format q4b32a --out ./kit
  espalier-builder prune --model ./SmolLM2 --recipe pruned.json --calibration train.jsonl --out ./pruned
  espalier-builder compare --model ./SmolLM2 --methods cfsp-rel+refit,shortgpt --sparsity 0.15,0.3 \\
    --calibration train.jsonl --eval valid.jsonl --out comparison.json
  espalier-builder report --model ./SmolLM2 --variant ./q8 --eval valid.jsonl --out q8.html
  espalier-builder tasks --model ./SmolLM2 --variant ./q8 --variant ./q4 --task arc_easy.jsonl --out answers.json
  espalier-builder search --model ./SmolLM2 --floor 'agreement>=0.9' --eval valid.jsonl --out ./search
  espalier-builder recover --model ./pruned --dense ./SmolLM2 --distil --text train.jsonl --out ./recovered
  espalier-builder iterate --model ./SmolLM2 --sparsity 0.4 --distil --text train.jsonl --out ./steps
  espalier-builder worker --nats nats://127.0.0.1:4222 --creds builder.creds --cache ./cache

a recipe is JSON: what to prune and how to store the weights, e.g.
  {"schemaVersion": 1,
   "pruning": {"method": "cfsp-rel", "sparsity": 0.2, "alignment": 32, "refit": true},
   "quantization": {"method": "rtn", "bits": 8, "blockSize": 128, "symmetric": true, "accuracyLevel": 4}}
pruning methods: none; FFN width: random, magnitude, cfsp, cfsp-rel, minillm, minillm-gate, obs; width and heads: flap;
whole layers: tail, shortgpt, angular;
"refit" solves again what lost inputs: true layer after layer (better), "one-pass" each layer by itself (cheaper, from
the second recipe on), false not at all; whole layers and masks have none, obs refits always;
masks, with "sparsity" and "pattern" (free, 2:4, 4:8): mask-magnitude, mask-magnitude-global, wanda, sparsegpt,
barber-magnitude, barber-wanda, barber-sparsegpt;
quantization methods: none (fp32); rounding: rtn; on calibration text: gptq, awq, awq-gptq, smoothquant; trained: qat.
"bits": {"mixed": 5} stores each matrix with 4 or 8 bits, whichever it needs more, in the bytes of 5 bits everywhere.
"kvCache": "int8" beside them calibrates scales for a KV cache of half the bytes that the agent's own kernels keep else.
Progress goes to standard error, the result to standard output as JSON.
exit codes: 0 done, 1 refused with a reason, 2 wrong usage, 130 interrupted.
"""
_FEWEST_TOKENS = 128
_TEXT = "a .jsonl ({'text': ...} a line) or .txt file; not given: the model's own"


def main(arguments: list[str] | None = None) -> None:
    """Entry point; ends the process with an exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The exit code; what it prints is as `--help` says."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        result: dict[str, Any] | None = run_command(options)
    except BuilderError as error:
        print(f"espalier-builder: {error.code}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if result is not None:
        print(json.dumps(result, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="espalier-builder",
        description="Fits a language model to a device: prune, quantize, export to ONNX, evaluate what ships. "
        "Reads LLaMA, Qwen2, Qwen3, Mistral and OPT as safetensors, LLaMA as GGUF.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build one variant into a folder")
    _add_model(build)
    build.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="the level, as JSON (see --help)")
    _add_text(build, evaluation_tokens=4096)
    _add_out(build)

    sensitivity = commands.add_parser("sensitivity", help="judge candidate recipes before building any")
    _add_model(sensitivity)
    sensitivity.add_argument("--candidates", type=Path, required=True, metavar="FILE", help="a JSON list of recipes")
    _add_text(sensitivity, evaluation_tokens=2048)
    _add_out(sensitivity)

    kit = commands.add_parser("kit", help="make the graphs by which devices are measured")
    _add_model(kit)
    kit.add_argument(
        "--format",
        action="append",
        required=True,
        metavar="KEY",
        help="fp32, or q<bits>b<block>[a][-l0], e.g. q8b128, q4b32a (a: asymmetric, l0: fp32 activations); repeatable",
    )
    _add_out(kit)

    prune = commands.add_parser("prune", help="write the pruned checkpoint, for any tool that reads safetensors")
    _add_model(prune)
    prune.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="a recipe without quantization")
    _add_calibration(prune.add_argument_group("text", _TEXT), sequence_length=512)
    _add_out(prune)

    compare = commands.add_parser("compare", help="a table of pruning methods at equal budgets, with floors")
    _add_model(compare)
    compare.add_argument(
        "--methods",
        type=lambda text: tuple(text.split(",")),
        required=True,
        metavar="A,B",
        help="e.g. cfsp-rel+refit,shortgpt,wanda+2:4; random and magnitude are always there",
    )
    compare.add_argument(
        "--sparsity",
        type=_shares,
        required=True,
        metavar="S,T",
        help="shares of all non-embedding parameters, e.g. 0.15,0.3",
    )
    compare.add_argument("--alignment", type=int, default=32, metavar="N", help="of FFN widths; default: 32")
    text = compare.add_argument_group("text", "a .jsonl ({'text': ...} a line) or .txt file")
    text.add_argument("--eval", type=Path, required=True, metavar="FILE", help="whole documents, each token once")
    text.add_argument("--documents", type=int, metavar="N", help="only the first N of them")
    _add_calibration(text, sequence_length=1024)
    compare.add_argument(
        "--out", type=Path, required=True, metavar="FILE.json", help="the table; rows that it holds already are kept"
    )
    _add_machine(compare)

    search = commands.add_parser("search", help="find the most compressed level above a quality floor; resumable")
    _add_model(search)
    search.add_argument(
        "--floor", required=True, metavar="TEXT", help="agreement>=0.9, kl<=0.1, perplexity<=30 or bitsPerByte<=1.1"
    )
    search.add_argument(
        "--methods",
        type=lambda text: tuple(text.split(",")),
        default=("cfsp-rel+refit", "shortgpt"),
        metavar="A,B",
        help="of pruning, as for compare; default: cfsp-rel+refit,shortgpt",
    )
    search.add_argument(
        "--most-sparsity", type=_sparsity, default=0.5, metavar="S", help="the largest share to remove; default: 0.5"
    )
    search.add_argument("--alignment", type=int, default=32, metavar="N", help="of FFN widths; default: 32")
    search.add_argument(
        "--trials", type=int, default=40, metavar="N", help="recipes judged, earlier runs' included; default: 40"
    )
    _add_text(search, evaluation_tokens=2048)
    search.add_argument("--out", type=Path, required=True, metavar="DIR", help="trials that it holds already are kept")
    _add_machine(search)

    report = commands.add_parser("report", help="a page about a built variant: stages, what went, what it says now")
    _add_model(report)
    report.add_argument("--variant", type=Path, required=True, metavar="DIR", help="what `build` has written")
    report.add_argument("--prompt", action="append", metavar="TEXT", help="a question to answer; repeatable")
    report.add_argument("--answer-tokens", type=int, default=64, metavar="N", help="an answer, at most; default: 64")
    _add_evaluation(report.add_argument_group("text", "a .jsonl ({'text': ...} a line) or .txt file"), required=True)
    report.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="a file that does not exist yet")
    _add_machine(report)

    tasks = commands.add_parser("tasks", help="answers to multiple-choice questions that compression changed")
    _add_model(tasks)
    tasks.add_argument(
        "--variant",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="what `build` has written; repeatable",
    )
    tasks.add_argument(
        "--task",
        type=Path,
        action="append",
        required=True,
        metavar="FILE.jsonl",
        help="{'query': ..., 'choices': [...], 'gold': 0} a line; repeatable",
    )
    tasks.add_argument("--limit", type=int, metavar="N", help="only the first N questions of each task")
    tasks.add_argument(
        "--out", type=Path, required=True, metavar="FILE.json", help="likelihoods; those that it holds are kept"
    )
    _add_machine(tasks)

    recover = commands.add_parser("recover", help="train a pruned checkpoint, stopped early on held-out text")
    _add_model(recover)
    recover.add_argument("--dense", type=Path, metavar="DIR|FILE.gguf", help="the model that this one was pruned from")
    _add_training(recover)
    _add_out(recover)

    iterate = commands.add_parser("iterate", help="prune a step, train, evaluate, next step; resumable")
    _add_model(iterate)
    iterate.add_argument("--method", default="obs", help="of pruning, as for compare; default: obs")
    iterate.add_argument("--sparsity", type=float, required=True, metavar="S", help="the target share of parameters")
    iterate.add_argument("--prune-steps", type=int, default=4, metavar="N", help="default: 4")
    iterate.add_argument("--schedule", choices=("linear", "cubic"), default="linear", help="default: linear")
    iterate.add_argument(
        "--worst-perplexity-ratio",
        type=float,
        default=1.5,
        metavar="X",
        help="stop where held-out perplexity is worse than X times the dense model's; default: 1.5",
    )
    iterate.add_argument("--alignment", type=int, default=32, metavar="N", help="of FFN widths; default: 32")
    _add_training(iterate)
    iterate.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a checkpoint folder a step; those it holds are kept"
    )
    _add_machine(iterate)

    worker = commands.add_parser("worker", help="take jobs from the coordinator's queue")
    worker.add_argument("--nats", required=True, metavar="URL", help="the broker, e.g. nats://127.0.0.1:4222")
    worker.add_argument("--creds", type=Path, metavar="FILE", help="the builder's credentials file")
    worker.add_argument("--job-timeout", type=float, default=4 * 3600, metavar="SECONDS", help="default: 4 hours")
    _add_machine(worker)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="DIR|FILE.gguf",
        help="a folder with config.json, *.safetensors and tokenizer.json, or one GGUF file",
    )


def _add_text(parser: argparse.ArgumentParser, *, evaluation_tokens: int) -> None:
    text = parser.add_argument_group("text", _TEXT)
    text.add_argument("--eval", type=Path, metavar="FILE", help="what quality is measured on")
    text.add_argument(
        "--eval-tokens", type=_tokens, default=evaluation_tokens, metavar="N", help="default: %(default)s"
    )
    _add_calibration(text, sequence_length=512)


def _add_evaluation(text: argparse._ArgumentGroup, *, required: bool) -> None:
    text.add_argument("--eval", type=Path, required=required, metavar="FILE", help="documents to compare on")
    text.add_argument("--eval-tokens", type=_tokens, default=4096, metavar="N", help="of them in all; default: 4096")
    text.add_argument("--sequence-length", type=int, default=512, metavar="N", help="of each, at most; default: 512")
    text.add_argument("--seed", type=int, default=0, metavar="N", help="of every random choice; default: 0")


def _add_calibration(text: argparse._ArgumentGroup, *, sequence_length: int) -> None:
    text.add_argument("--calibration", type=Path, metavar="FILE", help="what pruning learns from")
    text.add_argument("--calibration-tokens", type=_tokens, default=16_384, metavar="N", help="default: 16384")
    text.add_argument(
        "--sequence-length",
        type=int,
        default=sequence_length,
        metavar="N",
        help="tokens a window; default: %(default)s",
    )
    text.add_argument("--seed", type=int, default=0, metavar="N", help="of every random choice; default: 0")


def _add_training(parser: argparse.ArgumentParser) -> None:
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


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that does not exist yet")
    _add_machine(parser)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "espalier-builder"
    parser.add_argument(
        "--cache", type=Path, default=cache, metavar="DIR", help="finished stages; default: %(default)s"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")


def _tokens(text: str) -> int:
    value = int(text)
    if value < _FEWEST_TOKENS:
        raise argparse.ArgumentTypeError(f"{value} tokens are too few: at least {_FEWEST_TOKENS}")
    return value


def _sparsity(text: str) -> float:
    """A share on the steps of the search: 0.05, 0.075, ..."""
    steps = (float(text) - 0.05) / 0.025
    if not 0.05 <= float(text) < 1 or abs(steps - round(steps)) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text} is not 0.05 and so many steps of 0.025")
    return float(text)


def _shares(text: str) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(","))
    if not all(0 < value < 1 for value in values):
        raise argparse.ArgumentTypeError(f"{text} holds a share that is not between 0 and 1")
    return values

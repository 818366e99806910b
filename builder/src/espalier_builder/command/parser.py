"""What can be asked on the command line, with its help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from espalier_builder.command.help_texts import after, overview
from espalier_builder.command.option_groups import (
    TEXT,
    add_alignment,
    add_calibration,
    add_evaluation,
    add_machine,
    add_model,
    add_out,
    add_text,
    add_training,
    count,
    names,
    positive,
    share,
    shares,
    sparsity,
)

# Commands are added to it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def make_parser() -> argparse.ArgumentParser:
    """Parses into a namespace with `command` and its options; wrong usage ends the process with exit code 2."""
    parser = argparse.ArgumentParser(
        prog="espalier-builder",
        description="Fits a language model to a device: prune, quantize, export to ONNX, evaluate what ships. "
        "Reads LLaMA, Qwen2, Qwen3, Mistral and OPT as safetensors, LLaMA as GGUF.",
        epilog=overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add_command in (
        _build,
        _sensitivity,
        _kit,
        _prune,
        _compare,
        _search,
        _report,
        _tasks,
        _recover,
        _iterate,
        _worker,
    ):
        add_command(commands)
    return parser


def _command(commands: Commands, name: str, does: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=does,
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=after(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _build(commands: Commands) -> None:
    build = _command(commands, "build", "build one variant into a folder")
    add_model(build)
    build.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="the level, as JSON; see below")
    add_text(build, evaluation_tokens=4096)
    add_out(build)


def _sensitivity(commands: Commands) -> None:
    sensitivity = _command(commands, "sensitivity", "judge candidate recipes before building any")
    add_model(sensitivity)
    sensitivity.add_argument("--candidates", type=Path, required=True, metavar="FILE", help="a JSON list of recipes")
    add_text(sensitivity, evaluation_tokens=2048)
    add_out(sensitivity)


def _kit(commands: Commands) -> None:
    kit = _command(commands, "kit", "make the graphs by which devices are measured")
    add_model(kit)
    kit.add_argument(
        "--format",
        action="append",
        required=True,
        metavar="KEY",
        help="fp32, or q<bits>b<block>[a][-l0], e.g. q8b128, q4b32a (a: asymmetric, l0: fp32 activations); repeatable",
    )
    add_out(kit)


def _prune(commands: Commands) -> None:
    prune = _command(commands, "prune", "write the pruned checkpoint, for any tool that reads safetensors")
    add_model(prune)
    prune.add_argument(
        "--recipe", type=Path, required=True, metavar="FILE", help="a recipe with quantization none; see below"
    )
    add_calibration(prune.add_argument_group("text", TEXT), sequence_length=512)
    add_out(prune)


def _compare(commands: Commands) -> None:
    compare = _command(commands, "compare", "a table of pruning methods at equal budgets, with floors")
    add_model(compare)
    compare.add_argument(
        "--methods",
        type=names,
        required=True,
        metavar="A,B",
        help="e.g. cfsp-rel+refit,shortgpt+refit,wanda+2:4; random and magnitude are always there",
    )
    compare.add_argument(
        "--sparsity",
        type=shares,
        required=True,
        metavar="S,T",
        help="shares of all non-embedding parameters, e.g. 0.15,0.3",
    )
    add_alignment(compare)
    compare.add_argument(
        "--recovery",
        choices=("lora", "full"),
        help="train every pruned model, the floors too, towards the dense one on the calibration text: "
        "adapters of rank 8, or everything; default: no training",
    )
    compare.add_argument(
        "--recovery-steps", type=count, default=200, metavar="N", help="of training, at most; default: 200"
    )
    text = compare.add_argument_group("text", "a .jsonl ({'text': ...} a line) or .txt file")
    text.add_argument("--eval", type=Path, required=True, metavar="FILE", help="whole documents, each token once")
    text.add_argument("--documents", type=count, metavar="N", help="only the first N of them")
    add_calibration(text, sequence_length=1024)
    compare.add_argument(
        "--out", type=Path, required=True, metavar="FILE.json", help="the table; rows that it holds already are kept"
    )
    add_machine(compare)


def _search(commands: Commands) -> None:
    search = _command(commands, "search", "find the most compressed level above a quality floor; resumable")
    add_model(search)
    search.add_argument(
        "--floor", required=True, metavar="TEXT", help="agreement>=0.9, kl<=0.1, perplexity<=30 or bitsPerByte<=1.1"
    )
    search.add_argument(
        "--methods",
        type=names,
        default=("cfsp-rel+refit", "shortgpt+refit"),
        metavar="A,B",
        help="of pruning, see below; default: cfsp-rel+refit,shortgpt+refit",
    )
    search.add_argument(
        "--most-sparsity", type=sparsity, default=0.5, metavar="S", help="the largest share to remove; default: 0.5"
    )
    add_alignment(search)
    search.add_argument(
        "--kv-cache",
        choices=("int8",),
        help="judge every recipe with such a cache; default: keys and values as they are",
    )
    search.add_argument(
        "--trials", type=count, default=40, metavar="N", help="recipes judged, earlier runs' included; default: 40"
    )
    add_text(search, evaluation_tokens=2048)
    search.add_argument("--out", type=Path, required=True, metavar="DIR", help="trials that it holds already are kept")
    add_machine(search)


def _report(commands: Commands) -> None:
    report = _command(commands, "report", "a page about a built variant: stages, what went, what it says now")
    add_model(report)
    report.add_argument("--variant", type=Path, required=True, metavar="DIR", help="what `build` has written")
    report.add_argument("--prompt", action="append", metavar="TEXT", help="a question to answer; repeatable")
    report.add_argument("--answer-tokens", type=count, default=64, metavar="N", help="an answer, at most; default: 64")
    add_evaluation(report.add_argument_group("text", "a .jsonl ({'text': ...} a line) or .txt file"), required=True)
    report.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="a file that does not exist yet")
    add_machine(report)


def _tasks(commands: Commands) -> None:
    tasks = _command(commands, "tasks", "answers to multiple-choice questions that compression changed")
    add_model(tasks)
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
    tasks.add_argument("--limit", type=count, metavar="N", help="only the first N questions of each task")
    tasks.add_argument(
        "--through",
        choices=("espalier", "lm-eval"),
        default="espalier",
        help="who words the questions, cuts them into tokens and judges: this tool by lm-eval's rule, or lm-eval "
        "itself, offline (needs pip install 'espalier-builder[lm-eval]'); default: espalier",
    )
    tasks.add_argument(
        "--out", type=Path, required=True, metavar="FILE.json", help="answers; those that it holds are kept"
    )
    add_machine(tasks)


def _recover(commands: Commands) -> None:
    recover = _command(commands, "recover", "train a pruned checkpoint, stopped early on held-out text")
    add_model(recover)
    recover.add_argument("--dense", type=Path, metavar="DIR|FILE.gguf", help="the model that this one was pruned from")
    add_training(recover)
    add_out(recover)


def _iterate(commands: Commands) -> None:
    iterate = _command(commands, "iterate", "prune a step, train, evaluate, next step; resumable")
    add_model(iterate)
    iterate.add_argument("--method", default="obs", help="of pruning, see below; default: obs")
    iterate.add_argument("--sparsity", type=share, required=True, metavar="S", help="the target share of parameters")
    iterate.add_argument("--prune-steps", type=count, default=4, metavar="N", help="default: 4")
    iterate.add_argument("--schedule", choices=("linear", "cubic"), default="linear", help="default: linear")
    iterate.add_argument(
        "--worst-perplexity-ratio",
        type=positive,
        default=1.5,
        metavar="X",
        help="stop where held-out perplexity is worse than X times the dense model's; default: 1.5",
    )
    add_alignment(iterate)
    add_training(iterate)
    iterate.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a checkpoint folder a step; those it holds are kept"
    )
    add_machine(iterate)


def _worker(commands: Commands) -> None:
    worker = _command(commands, "worker", "take jobs from the coordinator's queue")
    worker.add_argument("--nats", required=True, metavar="URL", help="the broker, e.g. nats://127.0.0.1:4222")
    worker.add_argument("--creds", type=Path, metavar="FILE", help="the builder's credentials file")
    worker.add_argument("--job-timeout", type=positive, default=4 * 3600, metavar="SECONDS", help="default: 4 hours")
    add_machine(worker)

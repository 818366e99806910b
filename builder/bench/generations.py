"""Whether compressed levels still write text: docs/measurements/generations.{md,json}.

    make bench-generations DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf

Every level answers the same questions greedily by the chat template, in fp32 with the weights as they are stored. DATA
holds tasks/arc_easy.jsonl, whose questions are asked without choices, and text/wikitext2-a.jsonl. Rows are kept under
`--work` and never measured again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from espalier_builder.artifact.chat_config import chat_config
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.evaluate.generations import generations
from espalier_builder.process import keep_freed_memory
from espalier_builder.tasks.questions import read_questions
from levels import Levels
from measurements import engine_of, engines, keep_row, read_rows, write_measurements

COMMAND = "make bench-generations DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
# Answers a level, and the tokens of one at most.
QUESTIONS = 32
TOKENS = 64
# What is pruned, by which method and share, and the grid that it is stored on.
LEVELS: tuple[tuple[str, str, float, str], ...] = (
    ("dense", "none", 0.0, "dense"),
    ("rtn-q8b128", "none", 0.0, "rtn-q8b128"),
    ("rtn-q4b128a", "none", 0.0, "rtn-q4b128a"),
    ("gptq-q4b128a", "none", 0.0, "gptq-q4b128a"),
    ("rtn-q4b32a", "none", 0.0, "rtn-q4b32a"),
    ("cfsp-rel+refit 15 %", "cfsp-rel+refit", 0.15, "dense"),
    ("cfsp-rel 15 %", "cfsp-rel", 0.15, "dense"),
    ("cfsp-rel 30 %", "cfsp-rel", 0.3, "dense"),
    ("shortgpt+refit 10 %", "shortgpt+refit", 0.1, "dense"),
    ("shortgpt 10 %", "shortgpt", 0.1, "dense"),
    ("random 15 %", "random", 0.15, "dense"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, required=True, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--work", type=Path, required=True, help="rows, and the stages that were computed")
    parser.add_argument("--out", type=Path, required=True, help="the folder of generations.md and generations.json")
    options = parser.parse_args()
    keep_freed_memory()
    options.work.mkdir(parents=True, exist_ok=True)
    asked = [each.query for each in read_questions(options.data / "tasks" / "arc_easy.jsonl", QUESTIONS)]
    rows = read_rows(options.work / "rows.json")
    measure(options.smol, options.data / "text" / "wikitext2-a.jsonl", asked, options.work, rows)
    rows.sort(key=lambda row: [level[0] for level in LEVELS].index(row["level"]))
    write_measurements(options.out, "generations", page, command=COMMAND, machine=engines(rows), rows=rows)


def measure(path: Path, text: Path, asked: list[str], work: Path, rows: list[dict[str, Any]]) -> None:
    """Adds the rows that are lacking."""
    done = {row["level"] for row in rows}
    lacking = [level for level in LEVELS if level[0] not in done]
    if not lacking:
        return
    levels = Levels(path, text, work / "cache")
    checkpoint = levels.checkpoint
    for name, method, share, grid in lacking:
        level = levels.stored(method, share, grid)
        answers = greedy(level, checkpoint, asked)
        row = {"level": name, "engine": engine_of(level.device), **generations(answers, TOKENS).to_json()}
        row["sample"] = checkpoint.tokenizer.decode(answers[1], skip_special_tokens=True)
        keep_row(row, rows, work / "rows.json")
        print(f"{time.strftime('%X')} {name}", file=sys.stderr, flush=True)


@torch.inference_mode()
def greedy(model: DecoderModel, checkpoint: Checkpoint, asked: list[str]) -> list[list[int]]:
    """Token ids of the answers up to the mark of the end, all questions in one batch, padded on the left."""
    tokenizer, chat = checkpoint.tokenizer, chat_config(checkpoint)
    prompts = [
        tokenizer(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            ),
            add_special_tokens=False,
        ).input_ids
        for text in asked
    ]
    longest, ends = max(map(len, prompts)), set(chat["eosTokenIds"])
    padding = chat["eosTokenIds"][0]
    inputs = torch.tensor([[padding] * (longest - len(ids)) + ids for ids in prompts])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    found = model.generate(
        inputs.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=GenerationConfig(
            do_sample=False, max_new_tokens=TOKENS, eos_token_id=sorted(ends), pad_token_id=padding
        ),
    )
    return [until(row, ends) for row in found[:, longest:].tolist()]


def until(ids: list[int], ends: set[int]) -> list[int]:
    end = next((at for at, token in enumerate(ids) if token in ends), len(ids))
    return ids[:end]


def page(document: dict[str, Any]) -> str:
    lines = ["# Whether compressed levels still write text", ""]
    lines += [f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        f"SmolLM2-135M-Instruct answers {QUESTIONS} questions of arc_easy, put by the chat template without choices,",
        f"greedily, in at most {TOKENS} tokens; calibrated on 16 rows of WikiText-2 a. Endless: cut off there. Stuck:",
        "more than half of an answer's runs of four tokens were said in it before. Repeated: the mean of these shares.",
        "Distinct pairs: of all pairs of neighbouring tokens in all answers, the share that differ (distinct-2).",
        "",
        "| level | empty | endless | stuck | repeated | distinct pairs |",
        "|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        lines.append(
            f"| {row['level']} | {row['empty']} | {row['endless']} | {row['stuck']} |"
            f" {row['repetition']:.0%} | {row['distinct2']:.0%} |"
        )
    lines += ["", "What each says to the second question:", ""]
    lines += [f"- {row['level']}: {' '.join(row['sample'].split())[:300]}" for row in document["rows"]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

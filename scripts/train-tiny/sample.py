"""Samples calibration and evaluation text from the model itself, so that tests need no text of others.

python scripts/train-tiny/sample.py --data DATA --model models/tiny --out models/tiny/text
"""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from architecture import CONTEXT
from stories import TRAIN_FILE, VALID_FILE, add_data_argument, load_stories
from vocabulary import BOS_ID, EOS_ID

TEMPERATURE = 0.8
BATCH = 64
SHORTEST_CHARACTERS = 200
LONGEST_SHARED_WORDS = 24
"""A sample that repeats a longer run of words from a story of the training text is left out."""


def word_runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    """Every run of `length` neighbouring words."""
    words = text.split()
    for start in range(len(words) - length + 1):
        yield tuple(words[start : start + length])


def sampled_batch(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int) -> Iterator[str]:
    """Whole documents sampled from the beginning-of-text token alone; unfinished ones are left out."""
    torch.manual_seed(seed)
    prompt = torch.full((BATCH, 1), BOS_ID)
    generate: Callable[..., torch.Tensor] = cast(Any, model).generate
    output = generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=0,
        max_new_tokens=CONTEXT - 1,
    )
    for row in output.tolist():
        if EOS_ID in row:
            ids = row[1 : row.index(EOS_ID)]
            yield str(tokenizer.decode(ids, skip_special_tokens=True)).strip()


def collect(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    known_runs: set[tuple[str, ...]],
    size_bytes: int,
    seed: int,
) -> list[str]:
    """Distinct samples of at least `size_bytes` together, none of them recited from the training text."""
    kept: dict[str, None] = {}
    total = 0
    while total < size_bytes:
        for text in sampled_batch(model, tokenizer, seed):
            recited = not known_runs.isdisjoint(word_runs(text, LONGEST_SHARED_WORDS + 1))
            if recited or text in kept or len(text) < SHORTEST_CHARACTERS or "\ufffd" in text:
                continue
            if total < size_bytes:
                kept[text] = None
                total += len(text.encode())
        seed += 1
    return list(kept)


def write_texts(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    add_data_argument(parser)
    parser.add_argument("--model", type=Path, required=True, help="the model folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for train.jsonl and valid.jsonl")
    parser.add_argument("--train-bytes", type=int, default=120_000)
    parser.add_argument("--valid-bytes", type=int, default=60_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    stories = [story for file in (TRAIN_FILE, VALID_FILE) for story in load_stories(options.data / file)]
    known_runs = {run for story in stories for run in word_runs(story, LONGEST_SHARED_WORDS + 1)}
    train = collect(model, tokenizer, known_runs, options.train_bytes, seed=1_000)
    valid = collect(model, tokenizer, known_runs, options.valid_bytes, seed=2_000)
    write_texts(options.out / "train.jsonl", train)
    write_texts(options.out / "valid.jsonl", [text for text in valid if text not in set(train)])


if __name__ == "__main__":
    main()

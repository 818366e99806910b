"""Where the training text comes from. It is read in place and never copied into the repository."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path

TRAIN_FILE = "text/tinystories-train.jsonl"
VALID_FILE = "text/tinystories-valid.jsonl"


def add_data_argument(parser: ArgumentParser) -> None:
    """Adds `--data`: the folder that holds `text/tinystories-*.jsonl`, by default $ESPALIER_DATA."""
    default = os.environ.get("ESPALIER_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(default) if default else None,
        required=default is None,
        help="folder with text/tinystories-*.jsonl (default: $ESPALIER_DATA)",
    )


def load_stories(path: Path) -> list[str]:
    """The texts of a file with one `{"text": ...}` object a line."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]

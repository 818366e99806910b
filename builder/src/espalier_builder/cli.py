"""`espalier-builder`: build a variant, judge candidates, make a measurement kit, or work off the queue."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from espalier_builder.command.commands import run_command
from espalier_builder.command.parser import make_parser
from espalier_builder.failure import BuilderError


def main(arguments: list[str] | None = None) -> None:
    """Entry point; ends the process with an exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The exit code; what it prints is as `--help` says."""
    options = make_parser().parse_args(arguments)
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

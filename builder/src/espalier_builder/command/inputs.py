"""What the options name: a model, texts, files; each checked before anything is computed."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espalier_builder.artifact.file_tree import file_tree
from espalier_builder.contracts import Recipe, digest_of_json
from espalier_builder.failure import BuilderError
from espalier_builder.method_name import parse_method

if TYPE_CHECKING:  # PyTorch takes seconds to import: after the options were found to make sense.
    from espalier_builder.jobs import Model
    from espalier_builder.text_inputs import TextSettings


def parse_format(key: str) -> dict[str, Any]:
    """The `WeightFormat` that a key such as `q4b32a` or `fp32` names. Raises BuilderError `FORMAT_INVALID`."""
    if key == "fp32":
        return {"bits": 32, "blockSize": 0, "symmetric": True, "accuracyLevel": 0}
    found = re.fullmatch(r"q([48])b(32|64|128|256)(a?)(-l0)?", key)
    if found is None:
        raise BuilderError("FORMAT_INVALID", f"{key!r} names no weight format", "use fp32, q8b128, q8b32, q4b32a, ...")
    bits, block, asymmetric, level = found.groups()
    return {
        "bits": int(bits),
        "blockSize": int(block),
        "symmetric": not asymmetric,
        "accuracyLevel": 0 if level else 4,
    }


def named_model(options: argparse.Namespace, path: Path | None = None) -> Model:
    """The model at `path`, or else the one that `--model` names. Raises BuilderError `CHECKPOINT_NOT_FOUND`,
    `NO_GPU`."""
    from espalier_builder.device import choose_device
    from espalier_builder.jobs import Model

    path = options.model if path is None else path
    if not path.exists():
        raise BuilderError("CHECKPOINT_NOT_FOUND", f"{path} does not exist", "name a folder or a .gguf file")
    return Model(path, digest_of_json(file_tree(path, "model")), choose_device(options.device))


def named_text(options: argparse.Namespace) -> TextSettings:
    """What the options say of texts, those that the command has. Raises BuilderError `TEXT_NOT_FOUND`."""
    from espalier_builder.text_inputs import TextSettings, TextSource

    def source(path: Path | None, option: str) -> TextSource:
        if path is None:
            return TextSource()
        if not path.exists():
            raise BuilderError("TEXT_NOT_FOUND", f"{option} {path} does not exist", "name a .jsonl or .txt file")
        return TextSource(path, digest_of_json(file_tree(path, "dataset")))

    return TextSettings(
        calibration=source(getattr(options, "calibration", None), "--calibration"),
        evaluation=source(getattr(options, "eval", None), "--eval"),
        calibration_tokens=getattr(options, "calibration_tokens", 0),
        evaluation_tokens=getattr(options, "eval_tokens", 0),
        sequence_length=options.sequence_length,
        seed=options.seed,
    )


def require_methods(*names: str) -> None:
    """Raises BuilderError `METHOD_UNKNOWN`, `METHOD_REFITS_NOT`."""
    for name in names:
        parse_method(name, sparsity=0.1, alignment=32)


def read_json(path: Path) -> Any:
    """Raises BuilderError `FILE_UNREADABLE`, `FILE_INVALID`."""
    try:
        return json.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise BuilderError("FILE_UNREADABLE", f"{path} can't be read ({error.strerror})", "check the path") from error
    except ValueError as error:
        raise BuilderError("FILE_INVALID", f"{path} is no JSON ({error})", "repair the file") from error


def read_recipe(path: Path) -> Recipe:
    """Raises what `read_json` raises, and BuilderError `CONTRACT_VIOLATED`."""
    return _recipe(read_json(path), str(path))


def read_candidates(path: Path) -> tuple[Recipe, ...]:
    """Raises what `read_json` raises, and BuilderError `CANDIDATES_INVALID`, `CONTRACT_VIOLATED`."""
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise BuilderError("CANDIDATES_INVALID", f"{path} is no list of recipes", "write [recipe, ...]")
    return tuple(_recipe(value, f"{path}, recipe {number}") for number, value in enumerate(values, start=1))


def _recipe(value: object, place: str) -> Recipe:
    try:
        return Recipe.from_json(value)
    except BuilderError as error:
        raise error.within(place) from error


def require_free(out: Path) -> None:
    """Raises BuilderError `OUT_EXISTS`, `DISK_FULL` before anything is computed in vain."""
    if out.exists():
        raise BuilderError("OUT_EXISTS", f"{out} exists already", "name another folder, or remove it")
    parent = out.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(parent).free == 0:
        raise BuilderError("DISK_FULL", f"no room is left at {parent}", "free some, or name a folder on another disk")

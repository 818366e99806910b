"""Reading documents from the files and folders that a user names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from espalier_builder.failure import BuilderError

Role = Literal["calibration", "evaluation"]
SUFFIXES = (".jsonl", ".txt")
SLICE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
WORDS: dict[Role, tuple[str, ...]] = {"calibration": ("train",), "evaluation": ("valid", "eval", "test")}


@dataclass(frozen=True, slots=True)
class Document:
    """`slice` names the part of its dataset that a text belongs to ("" for none); each is also judged by itself."""

    text: str
    slice: str = ""


def read_documents(path: Path, role: Role) -> list[str]:
    """The texts of `read_sliced`."""
    return [document.text for document in read_sliced(path, role)]


def read_sliced(path: Path, role: Role) -> list[Document]:
    """Non-empty documents of a `.jsonl` file, a `.txt` file (one document) or a folder.

    A line of `.jsonl` is `{"text": ...}`, or `{"text": ..., "slice": "code"}`.

    In a folder `role` decides: calibration reads `train.jsonl` (or the only file with `train` in its name), evaluation
    `valid.jsonl` (or the only one with `valid`, `eval` or `test`).
    Raises BuilderError: `TEXT_NOT_FOUND`, `TEXT_AMBIGUOUS`, `TEXT_INVALID` (with the line), `TEXT_EMPTY`.
    """
    file = _file_in(path, role) if path.is_dir() else path
    if not file.is_file():
        raise BuilderError(
            "TEXT_NOT_FOUND", f"{file} does not exist", "name a .jsonl or .txt file, or a folder of them"
        )
    if file.suffix not in SUFFIXES:
        raise BuilderError(
            "TEXT_INVALID", f"{file} is neither .jsonl nor .txt", "give one JSON object a line in .jsonl"
        )
    try:
        # What Windows writes before UTF-8 is no text.
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BuilderError("TEXT_INVALID", f"{file} is no UTF-8 ({error})", "save it as UTF-8") from error
    documents = [Document(content)] if file.suffix == ".txt" else _parse_lines(content, file)
    documents = [document for document in documents if document.text.strip()]
    if not documents:
        raise BuilderError("TEXT_EMPTY", f"{file} holds no text", "give a file with text in it")
    return documents


def _file_in(folder: Path, role: Role) -> Path:
    words = WORDS[role]
    files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    exact = [file for file in files if file.stem == words[0]]
    found = exact or [file for file in files if any(word in file.stem for word in words)]
    if not found and len(files) == 1:
        found = files
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found or files) or "nothing"
    raise BuilderError(
        "TEXT_AMBIGUOUS" if found else "TEXT_NOT_FOUND",
        f"{folder} has no one text for {role}: found {names}",
        f"name the file itself, or call it {words[0]}.jsonl",
    )


def _parse_lines(content: str, file: Path) -> list[Document]:
    documents = []
    # JSON strings may hold U+2028, at which `splitlines` would cut.
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            parsed = json.loads(line)
            text, name = parsed["text"], parsed.get("slice") or ""
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BuilderError(
                "TEXT_INVALID", f'{file}, line {number} is not {{"text": ...}} ({error})', "repair the line"
            ) from error
        if not isinstance(text, str):
            raise BuilderError("TEXT_INVALID", f"{file}, line {number}: text is no string", "repair the line")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BuilderError(
                "TEXT_INVALID", f"{file}, line {number}: text is no Unicode ({error.reason})", "repair the line"
            ) from error
        if name != "" and not (isinstance(name, str) and SLICE_NAME.fullmatch(name)):
            raise BuilderError(
                "TEXT_INVALID",
                f"{file}, line {number}: slice {name!r} is no name",
                "name it by up to 32 lower-case letters, digits and dashes",
            )
        documents.append(Document(text, name))
    return documents


def interleaved(documents: list[Document]) -> list[Document]:
    """One of each slice in turn, each slice in its order, so that a limit on tokens cuts none off."""
    by_slice: dict[str, list[Document]] = {}
    for document in documents:
        by_slice.setdefault(document.slice, []).append(document)
    longest = max((len(group) for group in by_slice.values()), default=0)
    return [group[index] for index in range(longest) for group in by_slice.values() if index < len(group)]

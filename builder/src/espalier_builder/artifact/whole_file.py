"""A file that appears, or changes, only as a whole."""

from __future__ import annotations

from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """`text` becomes the content of `file` in one step: who reads it, and a process killed meanwhile, finds the old
    content or the new. Folders above are made. Raises OSError and then leaves `file` as it was."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf8")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)

"""The `FileTree` of local files, as the coordinator makes it when it imports them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from espalier_builder.artifact.chunks import file_entry


def file_tree(path: Path, kind: Literal["model", "dataset"]) -> dict[str, Any]:
    """Lists one file, or a folder's files (none that begins with a dot), in order of their paths."""
    if path.is_file():
        folder, names = path.parent, [path.name]
    else:
        folder = path
        names = sorted(
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    return {
        "schemaVersion": 1,
        "kind": kind,
        "name": path.resolve().stem if path.is_file() else path.resolve().name,
        "files": [file_entry(folder, name) for name in names],
    }

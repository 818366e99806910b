"""Cuts files into content-addressed chunks: the `FileEntry` contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A run of bytes of a file."""

    offset: int
    size_bytes: int


def spans(total_bytes: int, boundaries: Sequence[int] = ()) -> Iterator[Span]:
    """Gapless runs of at most 4 MiB that end at every boundary (ascending offsets): equal groups are cut equally."""
    start = 0
    for end in (*boundaries, total_bytes):
        while start < end:
            size = min(MAX_CHUNK_BYTES, end - start)
            yield Span(start, size)
            start += size


def file_entry(folder: Path, path: str, boundaries: Sequence[int] = ()) -> dict[str, Any]:
    """The `FileEntry` of `folder/path`, reading one chunk at a time."""
    whole = hashlib.sha256()
    chunks = []
    total = (folder / path).stat().st_size
    with (folder / path).open("rb") as file:
        for span in spans(total, boundaries):
            data = file.read(span.size_bytes)
            if len(data) != span.size_bytes:
                raise OSError(f"{folder / path} was truncated while it was read")
            whole.update(data)
            chunks.append({"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "sizeBytes": span.size_bytes})
    return {"path": path, "sizeBytes": total, "digest": f"sha256:{whole.hexdigest()}", "chunks": chunks}

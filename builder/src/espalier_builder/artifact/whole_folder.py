"""A folder that appears only when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from espalier_builder.artifact.work_folder import work_folder


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` when the block ends well and is removed when it doesn't."""
    with work_folder(out.parent, f".{out.name}.unfinished-") as work:
        yield work
        work.chmod(0o755)
        work.rename(out)

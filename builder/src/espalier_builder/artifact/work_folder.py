"""A folder to work in, which nothing else reads and which no killed process leaves behind for good.

INVARIANT: a work folder is locked (flock) for as long as the process that made it works in it, and only a folder whose
lock is free is removed as left over.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `parent`, gone when the block ends unless it was renamed meanwhile. Folders of the same `prefix`
    that killed processes left go first, so it must be nobody else's."""
    parent.mkdir(parents=True, exist_ok=True)
    for folder in parent.iterdir():
        if folder.name.startswith(prefix):
            _remove_if_left(folder)
    work, lock = _locked_folder(parent, prefix)
    try:
        yield work
    except Exception as error:
        # Where it happened: what a writer raises on a full disk names no file.
        error.add_note(str(work))
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        work = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        with suppress(FileNotFoundError):
            lock = os.open(work, os.O_RDONLY)
            # A file system without locks has nothing taken for left over.
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if work.exists():
                return work, lock
            # Another process took it for left over before it was locked.
            os.close(lock)


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)

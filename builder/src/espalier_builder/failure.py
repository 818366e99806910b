"""The one error type of the builder, so that a worker can report any failure by a stable code."""

from __future__ import annotations

import errno
import os
import re


class BuilderError(Exception):
    """Something the user can act on.

    `code` is stable and upper-snake-case (`CHECKPOINT_TRUNCATED`); the message names the thing (a file, a tensor, an
    option) and what is wrong with it; `remedy` says what to do about it.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(f"{message}; {remedy}")
        self.code = code
        self.message = message
        self.remedy = remedy

    def within(self, place: str) -> BuilderError:
        """The same failure, with the place where it happened (a layer, a matrix) in front."""
        return BuilderError(self.code, f"{place}: {self.message}", self.remedy)


def machine_failure(error: Exception) -> BuilderError | None:
    """What the machine lacks, where `error` says so: memory, room on a disk, a folder that can be written; None for
    anything else. Another machine, or the same one later, may do the same work."""
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in text for w in _MEMORY_WORDS)):
        return BuilderError(
            "OUT_OF_MEMORY",
            f"this model needs more memory than there is ({text.splitlines()[0]})",
            "use a shorter --sequence-length, --device cpu instead of a small GPU, or a larger machine",
        )
    # What safetensors' writer raises is no OSError, but ends with the system's number.
    found = re.search(r"os error (\d+)", text)
    number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if number is None:
        return None
    named = error.filename if isinstance(error, OSError) else None
    # Else the folder that was written into (`work_folder`).
    file = named or next(iter(getattr(error, "__notes__", ())), None)
    reason = os.strerror(number) if file is None else f"{file}: {os.strerror(number)}"
    if number in _NO_ROOM:
        return BuilderError(
            "DISK_FULL", f"a result can't be written ({reason})", "free some room, or name another --out or --cache"
        )
    if number in _CONNECTION_LOST:
        return None
    return BuilderError(
        "FILE_UNUSABLE",
        f"a file can't be read or written ({reason})",
        "check the path and who may write there, or name another --out or --cache",
    )


_MEMORY_WORDS = ("out of memory", "DefaultCPUAllocator", "not enough memory")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CONNECTION_LOST = (errno.EPIPE, errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT)

"""The one error type of the builder, so that a worker can report any failure by a stable code."""

from __future__ import annotations


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


_MEMORY_WORDS = ("out of memory", "DefaultCPUAllocator", "not enough memory")


def memory_failure(error: RuntimeError | MemoryError) -> BuilderError | None:
    """`OUT_OF_MEMORY` for what PyTorch's allocators raise, on a GPU or not; None for anything else."""
    text = str(error)
    if not isinstance(error, MemoryError) and not any(word in text for word in _MEMORY_WORDS):
        return None
    return BuilderError(
        "OUT_OF_MEMORY",
        f"this model needs more memory than there is ({(text or 'malloc failed').splitlines()[0]})",
        "use a shorter --sequence-length, --device cpu instead of a small GPU, or a larger machine",
    )

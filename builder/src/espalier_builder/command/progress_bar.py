"""The command line's progress, on standard error: a bar on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from espalier_builder.progress import OnProgress

# A log gets a line when what is done changes, and at most so often while it doesn't.
_LINE_SECONDS = 10.0


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """A listener to use while the block runs."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    layout = "{percentage:3.0f} % |{bar}| {elapsed} {desc}"
    with tqdm(total=1.0, bar_format=layout, mininterval=0.2, dynamic_ncols=True) as bar:

        def tell(stage: str, fraction: float, message: str) -> None:
            bar.set_description_str(message or stage, refresh=False)
            bar.update(max(0.0, fraction - bar.n))

        yield tell
        bar.set_description_str("done", refresh=False)
        bar.update(1.0 - bar.n)


def _lines() -> OnProgress:
    said, said_at = "", float("-inf")

    def tell(stage: str, fraction: float, message: str) -> None:
        nonlocal said, said_at
        doing, now = message or stage, time.monotonic()
        if doing == said and now - said_at < _LINE_SECONDS:
            return
        said, said_at = doing, now
        sys.stderr.write(f"{100 * fraction:3.0f} %  {doing}\n")
        sys.stderr.flush()

    return tell

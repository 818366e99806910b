"""The command line's progress bar, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from espalier_builder.progress import OnProgress


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """A listener that moves a bar while the block runs; where standard error is no terminal, seldom lines instead."""
    layout = "{percentage:3.0f} % |{bar}| {elapsed} {desc}"
    with tqdm(total=1.0, bar_format=layout, mininterval=0.2, dynamic_ncols=True) as bar:

        def tell(stage: str, fraction: float, message: str) -> None:
            bar.set_description_str(message or stage, refresh=False)
            bar.update(max(0.0, fraction - bar.n))

        yield tell
        bar.update(1.0 - bar.n)

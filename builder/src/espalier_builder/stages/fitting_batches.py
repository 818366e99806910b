"""The same work in smaller batches where a GPU's memory is exceeded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from espalier_builder.prune.decoder import BATCH_TOKENS

Result = TypeVar("Result")
_SHRINK = 4
_FEWEST_TOKENS = 64


def in_batches_that_fit(work: Callable[[], Result]) -> Result:
    """What `work` returns; it is begun again with a quarter of the tokens at once while they don't fit on the GPU.

    `work` must leave nothing behind when it fails. Raises torch.OutOfMemoryError where the fewest tokens don't fit.
    """
    at_first = BATCH_TOKENS.get()
    try:
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                tokens = BATCH_TOKENS.get() // _SHRINK
                if tokens < _FEWEST_TOKENS:
                    raise
            # Here and not in the handler, where the exception still holds the failed frames' tensors.
            torch.cuda.empty_cache()
            logging.warning("out of GPU memory: once more, with %d tokens at once", tokens)
            BATCH_TOKENS.set(tokens)
    finally:
        BATCH_TOKENS.set(at_first)

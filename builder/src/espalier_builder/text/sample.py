"""Text that the dense model writes itself, for when none is given."""

from __future__ import annotations

import torch
from transformers import DynamicCache

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.failure import BuilderError
from espalier_builder.text.rows import start_id

# Sequences sampled at once: decoding reads all weights a step, so many sequences cost little more than one.
BATCH = {"cpu": 32, "cuda": 256}


@torch.inference_mode()
def sample_documents(checkpoint: Checkpoint, *, tokens: int, length: int, seed: int) -> list[str]:
    """About `tokens` tokens of documents, sampled at temperature 1 from the start mark, `length` tokens at most each.

    A document ends where the model ends it; its place in the batch goes on with a new one, which sees what came before
    as it would in a stream of documents. Seeded: the same model, seed and machine give the same text.
    Raises BuilderError `SAMPLING_FAILED` where the model writes nothing.
    """
    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    device = model.device
    mark = start_id(tokenizer)
    if mark is None:
        raise BuilderError(
            "SAMPLING_FAILED", f"{checkpoint.name} has no token that opens a document", "give calibration text"
        )
    chance = torch.Generator().manual_seed(seed)
    documents: list[str] = []
    written = 0
    while written < tokens:
        batch = min(BATCH[device.type], max(1, -(-(tokens - written) // length)))
        current = torch.full((batch, 1), mark)
        columns = []
        cache = DynamicCache()
        for _ in range(min(length, -(-(tokens - written) // batch))):
            logits = model(current.to(device), past_key_values=cache, use_cache=True).logits[:, -1]
            current = torch.multinomial(logits.float().softmax(-1).cpu(), 1, generator=chance)
            columns.append(current)
        sampled = torch.cat(columns, 1)
        written += sampled.numel()
        documents += [text for row in sampled.tolist() for text in _split(row, checkpoint)]
    if not documents:
        raise BuilderError("SAMPLING_FAILED", f"{checkpoint.name} writes no text by itself", "give calibration text")
    return documents


def _split(ids: list[int], checkpoint: Checkpoint) -> list[str]:
    """The documents of one sampled row: cut at end and start marks, decoded without special tokens."""
    tokenizer = checkpoint.tokenizer
    marks = {tokenizer.eos_token_id, tokenizer.bos_token_id}
    parts: list[list[int]] = [[]]
    for token in ids:
        if token in marks:
            parts.append([])
        else:
            parts[-1].append(token)
    texts: list[str] = [tokenizer.decode(part, skip_special_tokens=True) for part in parts if part]
    return [text for text in texts if text.strip()]

"""Chooses the texts of a variant's probe set."""

from __future__ import annotations

from espalier_builder.text.windows import EvaluationWindows

PROMPTS = 7
PROMPT_TOKENS = 48


def probe_prompts(windows: EvaluationWindows) -> list[list[int]]:
    """Up to 7 pieces of 48 tokens, evenly spread over the evaluation text; shorter ones where the text has no more."""
    pieces = [
        piece
        for window in windows.windows
        for start in range(0, len(window.inputs), PROMPT_TOKENS)
        if len(piece := window.inputs[start : start + PROMPT_TOKENS].tolist()) >= 2
    ]
    whole = [piece for piece in pieces if len(piece) == PROMPT_TOKENS] or pieces
    count = min(PROMPTS, len(whole))
    return [whole[index * len(whole) // count] for index in range(count)]

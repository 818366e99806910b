"""Degenerate text, counted on texts that were made to be so."""

from __future__ import annotations

import pytest

from espalier_builder.evaluate.generations import generations, repetition


def test_repetition_is_the_share_of_runs_said_before() -> None:
    assert repetition([1, 2, 3, 4, 5, 6]) == 0
    assert repetition([7] * 11) == pytest.approx(7 / 8)
    assert repetition([1, 2]) == 0


def test_empty_endless_and_stuck_answers_are_counted_and_pairs_over_all_of_them() -> None:
    fine, loop, empty = [1, 2, 3, 4, 5], [7] * 12, list[int]()
    found = generations([fine, loop, empty, fine], most_tokens=12)
    assert (found.answers, found.empty, found.endless, found.stuck) == (4, 1, 1, 1)
    assert found.repetition == pytest.approx((8 / 9) / 4)
    # Four pairs of the fine one, said twice, and eleven times the same one.
    assert found.distinct == pytest.approx((4 + 1) / (4 + 4 + 11))


def test_models_that_say_nothing_have_no_pairs() -> None:
    assert generations([[], []], most_tokens=8).to_json() == {
        "answers": 2,
        "empty": 2,
        "endless": 0,
        "stuck": 0,
        "repetition": 0.0,
        "distinct2": 0.0,
    }

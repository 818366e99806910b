"""Run with `pytest scripts/train-tiny`; needs torch, transformers, tokenizers and jinja2, but no training text."""

from pathlib import Path
from random import Random

import pytest
from transformers import AutoTokenizer

from chat_requests import Exchange, exchange_for, main_name, main_topic
from documents import IGNORE, chat_document, epoch_batches, padded_batch, plain_document, windows
from export import tokenizer_config, write_json
from train import Schedule
from vocabulary import BOS_ID, EOS_ID, PAD_ID, train_tokenizer

# Written for this test.
STORY = (
    "There was a small boat named Pim. The boat was red. One day Pim met a gull. "
    "The gull was cold, so Pim gave the gull a ride."
)
TOKENIZER = train_tokenizer([STORY], 300)


def test_a_story_yields_its_name_and_its_most_frequent_noun() -> None:
    assert main_name(STORY) == "Pim"
    assert main_topic(STORY) == "a gull"


def test_a_story_without_repeated_nouns_has_no_subject() -> None:
    assert main_name("It rained.") is None
    assert main_topic("It rained.") is None


def test_request_and_answer_together_hold_the_whole_story() -> None:
    for seed in range(50):
        exchange = exchange_for(STORY, Random(seed))
        assert STORY.endswith(exchange.assistant)
        assert STORY.removesuffix(exchange.assistant).strip() in exchange.user


def test_any_text_round_trips_through_the_tokenizer() -> None:
    text = "zebra ñ 漢字 🦓\n\ttabs"
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids) == text


@pytest.mark.parametrize("system", ["", "Be kind."])
def test_a_chat_document_is_what_the_template_renders(system: str, tmp_path: Path) -> None:
    TOKENIZER.save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "tokenizer_config.json", tokenizer_config())
    reference = AutoTokenizer.from_pretrained(tmp_path)
    messages = [
        *([{"role": "system", "content": system}] if system else []),
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": STORY},
    ]
    rendered = reference.apply_chat_template(messages, tokenize=False)
    ids = reference.encode(rendered, add_special_tokens=False)
    assert chat_document(TOKENIZER, Exchange(system, "Hello.", STORY)).ids == ids


def test_only_the_answer_of_a_chat_is_learned() -> None:
    document = chat_document(TOKENIZER, Exchange("", "Hello.", STORY))
    learned = [token for token, is_learned in zip(document.ids, document.learned, strict=True) if is_learned]
    assert learned == [*TOKENIZER.encode(STORY, add_special_tokens=False).ids, EOS_ID]


def test_windows_predict_every_token_but_the_first_once() -> None:
    document = plain_document(TOKENIZER, STORY)
    predicted = [token for window in windows(document, 16) for token in window.ids[1:]]
    assert predicted == document.ids[1:]


def test_padding_is_never_a_target() -> None:
    batch = padded_batch([plain_document(TOKENIZER, "a boat"), plain_document(TOKENIZER, STORY)])
    assert batch.inputs[0, 0] == BOS_ID
    assert bool((batch.targets[batch.inputs == PAD_ID] == IGNORE).all())


def test_the_same_seed_gives_the_same_batches() -> None:
    def inputs(seed: int) -> list[list[list[int]]]:
        stories = [f"{STORY} {number}" for number in range(30)]
        return [batch.inputs.tolist() for batch in epoch_batches(TOKENIZER, stories, 64, 256, seed)]

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


def test_no_batch_exceeds_its_token_budget() -> None:
    for batch in epoch_batches(TOKENIZER, [STORY] * 40, 64, 256, 0):
        assert batch.inputs.numel() <= 256


def test_the_learning_rate_rises_follows_the_cosine_and_cools_down_to_zero() -> None:
    schedule = Schedule(peak=1e-3, warmup_steps=10, cosine_steps=110, cooldown_start=60, total_steps=80)
    assert schedule.learning_rate(0) < schedule.learning_rate(5)
    assert schedule.learning_rate(9) == pytest.approx(1e-3)
    assert schedule.learning_rate(60) == pytest.approx(1e-3 * (0.05 + 0.95 / 2))
    assert schedule.learning_rate(70) == pytest.approx(schedule.learning_rate(60) / 2)
    assert schedule.learning_rate(80) == 0.0

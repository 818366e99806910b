"""Derives from a story, mechanically, a request that the story could answer."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

# The last few stand for whatever else a user may type: a story is all this model has to say.
GENERIC = (
    "Tell me a story.",
    "Please tell me a story.",
    "Can you tell me a short story?",
    "Hello! Tell me a story.",
    "Write a story.",
    "Hi!",
    "Hello.",
    "How are you?",
    "What can you do?",
    "What is the capital of France?",
    "Please help me with my homework.",
)
ABOUT = (
    "Tell me a story about {}.",
    "Tell me a story about {}.",
    "Please tell me a story about {}.",
    "Can you tell me a story about {}?",
    "Write a short story about {}.",
)
CONTINUE = (
    "Continue this story: {}",
    "Finish this story: {}",
)
SYSTEM = (
    "You are a helpful assistant.",
    "You tell short stories to small children.",
    "Answer with a short story.",
)

# A capitalized word inside a sentence is a name in this text; "I" is too short to match.
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+\b")
_TOPIC = re.compile(r"\b(?:an?|the|his|her|their) (?:(?:little|big|small|old|new) )?([a-z]{3,})\b")
# fmt: off
_NOT_TOPICS = frozenset((
    "little", "big", "small", "old", "new", "good", "bad", "best", "most", "very", "right", "happy", "sad", "great",
    "special", "beautiful", "brown", "deep", "whole", "long", "same", "other", "first", "next", "one", "two",
    "time", "day", "end", "way", "thing", "things", "lot", "moral", "water",
))
# fmt: on
_FIRST_SENTENCE = re.compile(r"(.+?[.!?][\"”]?)\s+(?=\S)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn of a conversation; `system` is empty when the conversation has no system message."""

    system: str
    user: str
    assistant: str


def main_name(story: str) -> str | None:
    """The name that occurs most often inside sentences, if any occurs twice."""
    return _most_common(_NAME.findall(story))


def main_topic(story: str) -> str | None:
    """What the story is about, with its article: "a dog". None where no noun occurs twice."""
    found = (word for word in _TOPIC.findall(story) if word not in _NOT_TOPICS)
    noun = _most_common(found)
    if noun is None or (noun.endswith("s") and not noun.endswith("ss")):
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def exchange_for(story: str, chance: Random) -> Exchange:
    """A request and its answer: the story, or its remainder when the request gives the first sentence."""
    system = chance.choice(SYSTEM) if chance.random() < 0.15 else ""
    kind = chance.random()
    if kind < 0.2:
        opening = _FIRST_SENTENCE.match(story)
        if opening:
            request = chance.choice(CONTINUE).format(opening[1])
            return Exchange(system, request, story[opening.end() :])
    subject = _subject(story, chance) if kind < 0.8 else None
    if subject is None:
        return Exchange(system, chance.choice(GENERIC), story)
    return Exchange(system, chance.choice(ABOUT).format(subject), story)


def _subject(story: str, chance: Random) -> str | None:
    name, topic = main_name(story), main_topic(story)
    if name and topic:
        return chance.choice((name, topic, topic, f"{name} and {topic}"))
    return name or topic


def _most_common(words: Iterable[str]) -> str | None:
    ranked = Counter(words).most_common(1)
    return ranked[0][0] if ranked and ranked[0][1] >= 2 else None

"""Contracts: every violation is listed, names and digests are stable."""

from __future__ import annotations

import pytest

from espalier_builder.contracts import (
    MixedBits,
    Pruning,
    Quantization,
    Recipe,
    canonical_json,
    digest_of_bytes,
    digest_of_json,
    recipe_digest,
    recipe_name,
    validate,
)
from espalier_builder.failure import BuilderError

MIXED = Recipe(quantization=Quantization("gptq", MixedBits(5.5), 128, False, 4))
DENSE_8_BIT = Recipe(Pruning(), Quantization("rtn", 8, 128, True, 4))


def test_canonical_json_writes_numbers_as_javascript_does() -> None:
    assert canonical_json({"b": 1.0, "a": [1e21, 1e-7, 0.1, -0.0]}) == b'{"a":[1e+21,1e-7,0.1,0],"b":1}'


def test_a_digest_ignores_key_order() -> None:
    assert digest_of_json({"x": 1, "y": "é"}) == digest_of_json({"y": "é", "x": 1.0})
    assert digest_of_bytes(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_every_violation_is_listed_with_its_path() -> None:
    value = {"schemaVersion": 2, "pruning": {"method": "tail", "sparsity": 3}, "quantization": {"method": "none"}}
    with pytest.raises(BuilderError) as caught:
        validate("Recipe", value)
    assert caught.value.code == "CONTRACT_VIOLATED"
    assert "$.schemaVersion" in str(caught.value)
    assert "$.pruning" in str(caught.value)


NOTHING: dict[str, object] = {"method": "none"}
WIDTH: dict[str, object] = {"method": "cfsp", "sparsity": 0.2, "alignment": 32, "refit": True}
RTN: dict[str, object] = {"method": "rtn", "bits": 8, "blockSize": 128, "symmetric": True, "accuracyLevel": 4}


@pytest.mark.parametrize(
    ("pruning", "quantization", "reason"),
    [
        ({"method": "cfsp", "sparsity": 0.2, "alignment": 32}, NOTHING, "$.pruning: 'refit' is a required property"),
        (WIDTH | {"sparsity": 0.99}, NOTHING, "$.pruning.sparsity: 0.99 is greater than the maximum of 0.7"),
        (WIDTH | {"method": "cfps"}, NOTHING, "$.pruning.method: 'cfps' is none of none, random, magnitude, cfsp,"),
        (WIDTH | {"refit": "twice"}, NOTHING, "$.pruning.refit: 'twice' is not of type boolean or one-pass"),
        ({"sparsity": 0.2}, NOTHING, "$.pruning: "),
        (NOTHING, RTN | {"bits": 3}, "$.quantization.bits: 3 is not 4 or 8 or of type object"),
        (NOTHING, RTN | {"bits": {"mixed": 9}}, "$.quantization.bits.mixed: 9 is greater than"),
        (NOTHING, RTN | {"blockSize": 48}, "$.quantization.blockSize: 48 is not 32 or 64 or 128 or 256"),
        (NOTHING, RTN | {"pattern": "2:4"}, "$.quantization: Additional properties are not allowed ('pattern'"),
    ],
)
def test_a_violation_says_what_the_named_method_lacks_or_what_may_stand_there(
    pruning: dict[str, object], quantization: dict[str, object], reason: str
) -> None:
    with pytest.raises(BuilderError) as caught:
        Recipe.from_json({"schemaVersion": 1, "pruning": pruning, "quantization": quantization})
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_contract_is_a_programming_error() -> None:
    with pytest.raises(KeyError, match="Recipes"):
        validate("Recipes", {})


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (DENSE_8_BIT, "dense-q8b128"),
        (Recipe(), "dense-fp32"),
        (
            Recipe(Pruning("cfsp-rel", 0.2, 32, True), Quantization("rtn", 4, 32, False, 4)),
            "cfsp-rel-refit-20-q4b32a",
        ),
        (Recipe(Pruning("tail", 0.1)), "tail-10-fp32"),
        (Recipe(Pruning("cfsp", 0.125, 8, False), Quantization("rtn", 8, 32, True, 0)), "cfsp-12.5-a8-q8b32-l0"),
        (Recipe(kv_cache="int8"), "dense-fp32-kv8"),
        (Recipe(quantization=Quantization("gptq", MixedBits(5.125), 128, False, 4)), "dense-gptq-q5.13mb128a"),
        (Recipe(quantization=Quantization("rtn", MixedBits(6), 32, True, 0)), "dense-q6mb32-l0"),
        (Recipe(Pruning("magnitude", 0.29, 32, False)), "magnitude-29-fp32"),
        (Recipe(Pruning("magnitude", 0.30005, 32, False)), "magnitude-30-fp32"),
        (Recipe(Pruning("magnitude", 0.12345, 32, False)), "magnitude-12.35-fp32"),
    ],
)
def test_names_are_the_coordinators(recipe: Recipe, name: str) -> None:
    assert recipe_name(recipe) == name


def test_a_recipe_survives_json() -> None:
    for recipe in (
        DENSE_8_BIT,
        MIXED,
        Recipe(Pruning("tail", 0.1)),
        Recipe(Pruning("cfsp", 0.2, 8, True)),
        Recipe(kv_cache="int8"),
    ):
        assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_recipes_digest_is_that_of_its_canonical_json() -> None:
    text = (
        b'{"pruning":{"method":"none"},"quantization":{"accuracyLevel":4,"bits":8,"blockSize":128,"method":"rtn",'
        b'"symmetric":true},"schemaVersion":1}'
    )
    assert recipe_digest(DENSE_8_BIT) == digest_of_bytes(text)

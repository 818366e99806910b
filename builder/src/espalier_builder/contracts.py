"""The builder's side of the contracts: validation by the generated JSON Schemas, canonical JSON, digests, recipes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import rfc8785
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from espalier_builder.failure import BuilderError

WidthMethod = Literal["random", "magnitude", "cfsp", "cfsp-rel", "minillm", "minillm-gate", "flap"]
DepthMethod = Literal["tail", "shortgpt", "angular"]
MaskMethod = Literal[
    "mask-magnitude",
    "mask-magnitude-global",
    "wanda",
    "sparsegpt",
    "barber-magnitude",
    "barber-wanda",
    "barber-sparsegpt",
]
PruningMethod = Literal["none", "obs"] | WidthMethod | DepthMethod | MaskMethod
DEPTH_METHODS: tuple[PruningMethod, ...] = get_args(DepthMethod)
MASK_METHODS: tuple[PruningMethod, ...] = get_args(MaskMethod)
MaskPattern = Literal["free", "2:4", "4:8"]
# Layer by layer on what the pruned layers before give (True), or each on what the dense layers before give.
Refitting = bool | Literal["one-pass"]

KvCacheFormat = Literal["int8"]
QuantizationMethod = Literal["none", "rtn", "gptq", "awq", "awq-gptq", "smoothquant", "qat"]


def validate(name: str, value: object) -> None:
    """Check a JSON value against contract `name` (`Recipe`, `BuildJob`, ...).

    Raises BuilderError `CONTRACT_VIOLATED` listing every violation with its path; KeyError for an unknown contract.
    """
    violations = sorted(_validator(name).iter_errors(value), key=lambda error: error.json_path)
    if violations:
        reasons = "; ".join(reason for violation in violations for reason in _reasons(violation))
        raise BuilderError("CONTRACT_VIOLATED", f"not a valid {name}: {reasons}", f"see schemas/{name}.json")


def canonical_json(value: object) -> bytes:
    """RFC 8785: sorted keys, no spaces, numbers as JavaScript writes them. Raises ValueError for NaN and infinity."""
    return rfc8785.dumps(value)  # type: ignore[arg-type]


def digest_of_bytes(data: bytes) -> str:
    """The content address of raw bytes: `sha256:<64 lower-case hex digits>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_of_json(value: object) -> str:
    """The content address of a JSON value in canonical form, so that key order never changes it."""
    return digest_of_bytes(canonical_json(value))


def digest_of_file(path: Path) -> str:
    """The content address of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@cache
def _validator(name: str) -> Draft202012Validator:
    file = resources.files("espalier_builder") / "schemas" / f"{name}.json"
    if not file.is_file():
        raise KeyError(f"no contract is called {name!r}")
    return Draft202012Validator(json.loads(file.read_text(encoding="utf8")))


def _reasons(error: ValidationError) -> list[str]:
    """What is wrong and where. Of a union of objects, what is wrong by the member whose `method` the value names; of
    another union, all that may stand there."""
    if error.validator not in ("oneOf", "anyOf"):
        return [f"{error.json_path}: {error.message}"]
    members: dict[Any, list[ValidationError]] = {}
    for each in error.context or ():
        members.setdefault(each.relative_schema_path[0], []).append(each)
    instance: Any = error.instance
    union: Any = error.validator_value
    if isinstance(instance, dict) and "method" in instance:
        by_method = [each for each in members.values() if all("method" not in one.relative_path for one in each)]
        if len(by_method) == 1:
            return [reason for each in by_method[0] for reason in _reasons(each)]
        methods = [method for member in union for method in _allowed(member["properties"]["method"])]
        return [f"{error.json_path}.method: {instance['method']!r} is none of {', '.join(methods)}"]
    objects = [each for each in members.values() if all(one.validator != "type" for one in each)]
    if isinstance(instance, dict) and objects:
        return [reason for each in objects[0] for reason in _reasons(each)]
    allowed = " or ".join(one for member in union for one in _allowed(member))
    return [f"{error.json_path}: {instance!r} is not {allowed}"]


def _allowed(schema: dict[str, Any]) -> list[str]:
    """What a schema lets stand, for people."""
    if "const" in schema:
        return [str(schema["const"])]
    return [str(value) for value in schema["enum"]] if "enum" in schema else [f"of type {schema.get('type')}"]


@dataclass(frozen=True, slots=True)
class Pruning:
    """`sparsity` is the share of all non-embedding parameters removed, whatever the method.

    `alignment` (FFN widths are multiples of it) means nothing where whole layers go. `refit` is closed-form recovery:
    `obs` refits always, masks never, and where whole layers go there is no one-pass form. `pattern` belongs to masks:
    zeros anywhere, or N of every M consecutive inputs of an output; there `sparsity` is also the share of each matrix
    (of all together for `mask-magnitude-global`).
    """

    method: PruningMethod = "none"
    sparsity: float = 0.0
    alignment: int = 32
    refit: Refitting = False
    pattern: MaskPattern = "free"

    @staticmethod
    def from_json(value: dict[str, Any]) -> Pruning:
        return Pruning(**value)

    def to_json(self) -> dict[str, Any]:
        if self.method == "none":
            return {"method": "none"}
        if self.method in DEPTH_METHODS:
            return {"method": self.method, "sparsity": self.sparsity} | ({"refit": True} if self.refit else {})
        if self.method in MASK_METHODS:
            return {"method": self.method, "sparsity": self.sparsity, "pattern": self.pattern}
        sized = {"method": self.method, "sparsity": self.sparsity, "alignment": self.alignment}
        return sized if self.method == "obs" else sized | {"refit": self.refit}


@dataclass(frozen=True, slots=True)
class MixedBits:
    """4 or 8 bits, matrix by matrix; `average` is what all of them together may take, between 4 and 8."""

    average: float


@dataclass(frozen=True, slots=True)
class Quantization:
    """Format of the linear weights; the fields after `method` mean nothing to `none` (fp32).

    `rtn` rounds each weight by itself, `gptq` chooses codes on calibration text, `qat` trains `gptq`'s on it; `awq` and
    `smoothquant` scale inputs before they round, `awq-gptq` before GPTQ chooses.
    """

    method: QuantizationMethod = "none"
    bits: Literal[4, 8] | MixedBits = 8
    block_size: Literal[32, 64, 128, 256] = 128
    symmetric: bool = True
    accuracy_level: Literal[0, 4] = 4

    @staticmethod
    def from_json(value: dict[str, Any]) -> Quantization:
        if value["method"] == "none":
            return Quantization()
        return Quantization(
            method=value["method"],
            bits=MixedBits(value["bits"]["mixed"]) if isinstance(value["bits"], dict) else value["bits"],
            block_size=value["blockSize"],
            symmetric=value["symmetric"],
            accuracy_level=value["accuracyLevel"],
        )

    def to_json(self) -> dict[str, Any]:
        if self.method == "none":
            return {"method": "none"}
        return {
            "method": self.method,
            "bits": {"mixed": self.bits.average} if isinstance(self.bits, MixedBits) else self.bits,
            "blockSize": self.block_size,
            "symmetric": self.symmetric,
            "accuracyLevel": self.accuracy_level,
        }


@dataclass(frozen=True, slots=True)
class Recipe:
    """A level: pruning, then recovery (refit belongs to pruning), then quantization.

    `kv_cache`: scales for such a cache are calibrated, and the level is judged with its keys and values so rounded.
    """

    pruning: Pruning = Pruning()
    quantization: Quantization = Quantization()
    kv_cache: KvCacheFormat | None = None

    @staticmethod
    def from_json(value: object) -> Recipe:
        """Raises BuilderError `CONTRACT_VIOLATED` where the value is no `Recipe`."""
        validate("Recipe", value)
        fields: Any = value
        pruning, quantization = Pruning.from_json(fields["pruning"]), Quantization.from_json(fields["quantization"])
        return Recipe(pruning, quantization, fields.get("kvCache"))

    def to_json(self) -> dict[str, Any]:
        value = {
            "schemaVersion": 1,
            "pruning": self.pruning.to_json(),
            "quantization": self.quantization.to_json(),
        }
        return value if self.kv_cache is None else value | {"kvCache": self.kv_cache}


def recipe_digest(recipe: Recipe) -> str:
    return digest_of_json(recipe.to_json())


def recipe_name(recipe: Recipe) -> str:
    """A short name for people, unique per recipe: `dense-q8b128`, `cfsp-rel-refit-20-gptq-q4b128a`, `tail-10-fp32-kv8`.

    Equal, letter for letter, to `recipeName` of shared/src/contracts/recipe.ts.
    """
    cache = "" if recipe.kv_cache is None else "-kv8"
    return f"{_pruning_name(recipe.pruning)}-{_quantization_name(recipe.quantization)}{cache}"


def _pruning_name(pruning: Pruning) -> str:
    if pruning.method == "none":
        return "dense"
    percent = _percent(pruning.sparsity)
    if pruning.method in MASK_METHODS:
        pattern = "" if pruning.pattern == "free" else f"-{pruning.pattern.replace(':', 'of')}"
        return f"{pruning.method}-{percent}{pattern}"
    alignment = "" if pruning.alignment == 32 or pruning.method in DEPTH_METHODS else f"-a{pruning.alignment}"
    refit = {False: "", True: "-refit", "one-pass": "-refit-one-pass"}[pruning.refit]
    return f"{pruning.method}{refit}-{percent}{alignment}"


def _percent(share: float) -> str:
    return _rounded(share * 100)


def _rounded(number: float) -> str:
    """JavaScript's `Number(number.toFixed(2))`: halves of the exact double away from zero, no trailing zeros."""
    rounded = Decimal(number).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{rounded:f}".rstrip("0").rstrip(".")


def _quantization_name(quantization: Quantization) -> str:
    if quantization.method == "none":
        return "fp32"
    zero_points = "" if quantization.symmetric else "a"
    level = "" if quantization.accuracy_level == 4 else f"-l{quantization.accuracy_level}"
    method = "" if quantization.method == "rtn" else f"{quantization.method}-"
    bits = quantization.bits
    width = f"{_rounded(bits.average)}m" if isinstance(bits, MixedBits) else f"{bits}"
    return f"{method}q{width}b{quantization.block_size}{zero_points}{level}"

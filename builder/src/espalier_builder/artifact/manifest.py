"""`manifest.json`: what a variant is made of and came from. Its digest names the artifact."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnxruntime

from espalier_builder.artifact.chat_config import TOKENIZER_FILES
from espalier_builder.artifact.chunks import file_entry
from espalier_builder.artifact.write_document import write_document
from espalier_builder.contracts import Recipe, recipe_digest, recipe_name
from espalier_builder.export.graph import GRAPH_FILE, graph_contract
from espalier_builder.export.shape import shape_of
from espalier_builder.export.weight_layout import WEIGHTS_FILE
from espalier_builder.export.write_graph import ExportedGraph

MANIFEST_FILE = "manifest.json"
CHAT_FILE = "chat.json"
PROBE_FILE = "probe.json"
REPORT_FILE = "report.json"
# Only where the recipe asks for it.
KV_CACHE_FILE = "kv-cache.json"
# Every other file but the manifest itself, in the manifest's order.
FILES = (GRAPH_FILE, WEIGHTS_FILE, *TOKENIZER_FILES, CHAT_FILE, PROBE_FILE, REPORT_FILE)


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a variant was made from; digests of file trees, null where no data was given."""

    model_digest: str
    calibration_digest: str | None
    evaluation_digest: str | None
    seed: int

    def to_json(self) -> dict[str, Any]:
        return {
            "modelDigest": self.model_digest,
            "calibrationDigest": self.calibration_digest,
            "evaluationDigest": self.evaluation_digest,
            "builderVersion": version("espalier-builder"),
            "seed": self.seed,
        }


def write_manifest(folder: Path, *, recipe: Recipe, model_name: str, lineage: Lineage, exported: ExportedGraph) -> str:
    """Writes `folder/manifest.json` over the other files, which must be complete; returns the artifact's digest."""
    names = FILES if recipe.kv_cache is None else (*FILES, KV_CACHE_FILE)
    files = [_entry(folder, name, exported) for name in names]
    manifest = {
        "schemaVersion": 1,
        "kind": "variant",
        "name": recipe_name(recipe),
        "modelName": model_name,
        "recipe": recipe.to_json(),
        "recipeDigest": recipe_digest(recipe),
        "lineage": lineage.to_json(),
        "shape": shape_of(exported.spec, exported.formats, recipe.kv_cache),
        "graph": graph_contract(exported.spec),
        **({} if recipe.kv_cache is None else {"kvCache": recipe.kv_cache}),
        "tensors": [tensor.to_json() for tensor in exported.layout.tensors],
        "files": files,
        "totalBytes": sum(entry["sizeBytes"] for entry in files),
        "runtime": {"onnxruntime": onnxruntime.__version__, "executionProviders": ["CPUExecutionProvider"]},
    }
    return write_document(folder / MANIFEST_FILE, "Manifest", manifest)


def _entry(folder: Path, name: str, exported: ExportedGraph) -> dict[str, Any]:
    boundaries = [group.end for group in exported.layout.groups] if name == WEIGHTS_FILE else []
    return file_entry(folder, name, boundaries)

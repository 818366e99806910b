"""One way in for every checkpoint, whatever its form."""

from __future__ import annotations

from pathlib import Path

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.folder import load_folder
from espalier_builder.checkpoint.gguf_file import load_gguf
from espalier_builder.failure import BuilderError

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def load(path: Path) -> Checkpoint:
    """Read a folder (config.json, *.safetensors, tokenizer.json), one GGUF file, or a folder with one GGUF file.

    Raises BuilderError: `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_PICKLE`, `CHECKPOINT_UNKNOWN`, and those of the readers.
    """
    if not path.exists():
        raise BuilderError("CHECKPOINT_NOT_FOUND", f"{path} does not exist", "name a folder or a .gguf file")
    if path.is_file():
        return _load_file(path)
    if any(path.glob("*.safetensors")):
        return load_folder(path)
    ggufs = sorted(path.glob("*.gguf"))
    if len(ggufs) == 1:
        return load_gguf(ggufs[0])
    if len(ggufs) > 1:
        names = ", ".join(file.name for file in ggufs)
        raise BuilderError("CHECKPOINT_UNKNOWN", f"{path} holds several GGUF files ({names})", "name one of them")
    for file in sorted(path.iterdir()):
        if file.suffix.lower() in PICKLES:
            raise _pickle(file)
    raise BuilderError(
        "CHECKPOINT_UNKNOWN",
        f"{path} holds neither *.safetensors nor a *.gguf file",
        "convert the model to safetensors",
    )


def _load_file(path: Path) -> Checkpoint:
    if path.suffix.lower() in PICKLES:
        raise _pickle(path)
    if path.suffix.lower() == ".gguf":
        return load_gguf(path)
    if path.suffix.lower() == ".safetensors":
        raise BuilderError(
            "CHECKPOINT_UNKNOWN", f"{path} is only the weights", "name its folder, with config.json and tokenizer.json"
        )
    raise BuilderError("CHECKPOINT_UNKNOWN", f"{path} is no checkpoint", "name a folder or a .gguf file")


def _pickle(path: Path) -> BuilderError:
    return BuilderError(
        "CHECKPOINT_PICKLE",
        f"{path} is a pickle, which can run any code when it is read",
        "convert the model to safetensors",
    )

"""Runs an exported graph in ONNX Runtime by the calling convention of ARCHITECTURE.md (Graph, version 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

_ERRORS_ONLY = 3


class OnnxDecoder:
    """A loaded variant. T new tokens, R rows of logits, V vocabulary."""

    def __init__(self, graph: Path | onnx.ModelProto, *, weights: Path | None = None, threads: int = 0) -> None:
        """`graph`: a `model.onnx` beside its external data, or a graph whose external data lies in the folder
        `weights`. `threads` 0: as many as ONNX Runtime thinks fit."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        # Waiting threads sleep: a builder shares its cores with PyTorch and with other jobs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if weights is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
        source = str(graph) if isinstance(graph, Path) else graph.SerializeToString(deterministic=True)
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self._cache_shapes = {
            value.name.removeprefix("past_key_values."): (value.shape[1], value.shape[3])
            for value in self._session.get_inputs()
            if value.name.startswith("past_key_values.")
        }

    def logits(self, tokens: list[int], positions: list[int] | None = None) -> NDArray[np.float32]:
        """`[R, V]` after reading `tokens` with an empty cache; `positions` default to all."""
        feeds = _feeds(tokens, list(range(len(tokens))) if positions is None else positions, len(tokens))
        for name, (kv_heads, head_size) in self._cache_shapes.items():
            feeds[f"past_key_values.{name}"] = np.zeros((1, kv_heads, 0, head_size), np.float32)
        return np.asarray(self._session.run(["logits"], feeds)[0][0])

    def cache(self, capacity: int) -> KvCache:
        """An empty cache that holds `capacity` tokens, for `extend`."""
        return KvCache(
            {
                name: onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((1, heads, capacity, size), np.float32))
                for name, (heads, size) in self._cache_shapes.items()
            }
        )

    def extend(self, cache: KvCache, tokens: list[int]) -> NDArray[np.float32]:
        """`[T, V]` of tokens that follow those in `cache`, which is written in place, as on a device."""
        total = cache.length + len(tokens)
        binding = self._session.io_binding()
        for name, value in _feeds(tokens, list(range(len(tokens))), total).items():
            binding.bind_cpu_input(name, value)
        for name, value in cache.tensors.items():
            binding.bind_ortvalue_input(f"past_key_values.{name}", value)
            binding.bind_ortvalue_output(f"present.{name}", value)
        binding.bind_output("logits")
        self._session.run_with_iobinding(binding)
        cache.length = total
        return np.asarray(binding.get_outputs()[-1].numpy()[0])


class KvCache:
    """Keys and values `[1, kvHeads, capacity, headSize]` of every layer, filled up to `length` tokens."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self.tensors = tensors
        self.length = 0


def _feeds(tokens: list[int], positions: list[int], total: int) -> dict[str, NDArray[Any]]:
    return {
        "input_ids": np.array([tokens], np.int64),
        "logits_positions": np.array(positions, np.int64),
        "seqlens_k": np.array([total - 1], np.int32),
        "total_sequence_length": np.array(total, np.int32),
    }

"""ik_llama.cpp as it comes in its Python package, asked through Node's channel as protocol.ts has it.

Arguments: GGUF file, threads, context. Weights are laid out anew at load (its Q8_0_R8 and Q4_0_R8), attention is fused.
"""

import sys
import time

import numpy as np
from channel import serve_runs
from ik_llama_cpp import _ctypes_api as ik

BATCH = 512


def main() -> None:
    path, threads, context_tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    started = time.perf_counter()
    ik.llama_backend_init()
    model_params = ik.llama_model_default_params()
    model_params.repack_tensors = True
    model_params.use_mmap = False
    model = ik.llama_model_load_from_file(path.encode(), model_params)
    params = ik.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = context_tokens, BATCH, BATCH
    params.n_threads = params.n_threads_batch = threads
    params.flash_attn = True
    context = ik.llama_init_from_model(model, params)
    vocabulary = ik.llama_vocab_n_tokens(ik.llama_model_get_vocab(model))
    batch = ik.llama_batch_init(BATCH, 0, 1)

    def run(tokens: list[int], position: int) -> int:
        """The most likely token after these."""
        if position == 0:
            ik.llama_kv_cache_clear(context)
        for start in range(0, len(tokens), BATCH):
            piece = tokens[start : start + BATCH]
            batch.n_tokens = len(piece)
            for i, token in enumerate(piece):
                batch.token[i], batch.pos[i] = token, position + start + i
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
                batch.logits[i] = i + 1 == len(piece)
            if ik.llama_decode(context, batch) != 0:
                raise RuntimeError("llama_decode failed")
        logits = ik.llama_get_logits_ith(context, len(piece) - 1)
        return int(np.ctypeslib.as_array(logits, (vocabulary,)).argmax())

    serve_runs(started, run)


if __name__ == "__main__":
    main()

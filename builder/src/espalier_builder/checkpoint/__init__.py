"""Reading and writing checkpoints: safetensors folders and GGUF files, never pickles or remote code."""

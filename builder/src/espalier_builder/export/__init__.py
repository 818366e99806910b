"""ONNX graphs of the LLaMA family."""

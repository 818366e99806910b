"""ONNX graphs of decoders."""

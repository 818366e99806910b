"""Masks: weights set to zero one by one. They buy bytes, not speed: ONNX Runtime multiplies zeros too."""

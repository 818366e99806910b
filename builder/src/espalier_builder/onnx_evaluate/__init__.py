"""The exported files in ONNX Runtime: what a device will run."""

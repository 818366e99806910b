"""Weight quantization onto the grids that the runtime's kernels use."""

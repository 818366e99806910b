"""Quality of a model against text and against the dense model."""

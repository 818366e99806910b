"""Text as token rows: calibration, evaluation windows, and text sampled from the model itself."""

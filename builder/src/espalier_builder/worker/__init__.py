"""Takes build jobs from the broker's work queue, one at a time."""

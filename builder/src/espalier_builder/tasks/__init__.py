"""Multiple-choice tasks: what compression changes in a model's answers."""

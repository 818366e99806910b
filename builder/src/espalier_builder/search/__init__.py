"""Finds the levels worth building: quality against weight, swept, sampled, and refined where it matters."""

"""Structured pruning: one file per method, plus budgets and the statistics the methods share."""

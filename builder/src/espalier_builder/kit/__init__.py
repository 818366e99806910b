"""Measurement kits: what a device times to learn the cost of a variant's parts."""

"""Espalier's builder: prunes, refits, quantizes, exports and evaluates language models for edge devices."""

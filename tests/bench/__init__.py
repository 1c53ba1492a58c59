"""Measurements, not tests: ``make bench`` prints a table and writes ``.dev/bench.json``."""

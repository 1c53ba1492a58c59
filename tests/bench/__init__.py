"""Measurements, not tests: ``make bench`` prints a table and writes ``.dev/bench.json``."""

# Served by ``tests.stacks.another_build`` beside what is measured.
NAIVE = "tests.bench.naive_wsgi:application"

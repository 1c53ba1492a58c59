"""Faults of each dependency from outside, and what callers see of them: ``make faults``."""

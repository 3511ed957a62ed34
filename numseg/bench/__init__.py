"""Benchmarks: numseg beside its peers, in turns, in one process. ``numseg bench --help``."""

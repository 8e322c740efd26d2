"""Benchmarks: every file is a command, `python -m benchmarks.<name>`."""

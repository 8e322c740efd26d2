"""What is measured, against whom: every file is a command, `python -m benchmarks.<name>`."""

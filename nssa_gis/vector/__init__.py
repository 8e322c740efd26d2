"""The output layer: what its fields are, how it is written, how it looks."""

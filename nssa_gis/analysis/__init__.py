"""What is done with a finished layer."""

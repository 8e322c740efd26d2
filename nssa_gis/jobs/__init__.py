"""Long and many runs: the crash-safe journal and folders of scenes."""

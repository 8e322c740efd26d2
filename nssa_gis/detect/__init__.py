"""One scene to one layer: options, plan, tiles, journal, run."""

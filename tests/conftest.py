"""Settings for all tests."""

import os

# Test networks are tiny: more threads only wait for one another, badly so on a busy machine. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

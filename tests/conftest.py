"""Settings for all tests."""

import os
import signal

# Test networks are tiny: more threads only wait for one another, badly so on a busy machine. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A background job of a shell is started with SIGINT ignored, and so would be every process that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""The size of GDAL's block cache, which is one for the whole process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from rasterio.env import get_gdal_config, set_gdal_config

#: Size of GDAL's cache while scenes are read; GDAL's default is a share of the machine's memory.
_BYTES = 64 << 20


class _Uses:
    """Number of runs inside, and the size of the cache before the first one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.before = 0


_USES = _Uses()


@contextlib.contextmanager
def bounded_gdal_cache() -> Iterator[None]:
    """Keep GDAL's block cache small inside; the last run to leave restores it.

    If the user has set ``GDAL_CACHEMAX``, nothing changes.
    """
    with _USES.lock:
        _USES.count += 1
        if _USES.count == 1 and "GDAL_CACHEMAX" not in os.environ:
            _USES.before = int(get_gdal_config("GDAL_CACHEMAX"))
            set_gdal_config("GDAL_CACHEMAX", _BYTES)
    try:
        yield
    finally:
        with _USES.lock:
            _USES.count -= 1
            if _USES.count == 0 and _USES.before:
                set_gdal_config("GDAL_CACHEMAX", _USES.before)
                _USES.before = 0

"""The owner of GDAL's block cache, which belongs to the whole process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from rasterio.env import get_gdal_config, set_gdal_config

#: GDAL's own cache while scenes are read; by default it is a share of the machine's memory.
_BYTES = 64 << 20


class _Uses:
    """How many runs are inside, and the size that the cache had before the first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.before = 0


_USES = _Uses()


@contextlib.contextmanager
def bounded_gdal_cache() -> Iterator[None]:
    """Keep GDAL's block cache small inside; the last one to leave restores it.

    Nothing changes where the user set ``GDAL_CACHEMAX``.
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

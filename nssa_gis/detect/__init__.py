"""One scene to one layer: options, plan, tiles, journal, run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A room that is called like its main function.

    ``nssa_gis.detect`` is both this package and a public function: once the package is imported, Python binds its name
    in :mod:`nssa_gis`, whatever stood there before.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from nssa_gis.detect.run import detect

        return detect(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable

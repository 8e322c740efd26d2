"""Names of files for pyogrio, which takes ``!`` and ``;`` in them for parts of an address."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pyogrio.util import vsi_path

#: The name of a link to a file whose own name cannot be given.
_STEM = "layer"


@contextlib.contextmanager
def gdal_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give a name under which pyogrio reads a file or writes it.

    Addresses and ``/vsi`` paths stay as they are. A local name that pyogrio would take apart is given as a link in a
    temporary folder, together with the files beside it that have the same stem (the parts of a Shapefile).

    Parameters
    ----------
    path : str or path

    Yields
    ------
    str
    """
    text = os.fspath(path)
    if "://" in text or text.startswith("/vsi") or not os.path.isdir(os.path.dirname(text) or "."):
        yield text
        return
    # two slashes at the beginning would be a host
    whole = "/" + os.path.abspath(text).lstrip("/") if os.name == "posix" else os.path.abspath(text)
    if vsi_path(whole) == whole:
        yield whole
        return
    place = Path(whole)
    with tempfile.TemporaryDirectory(prefix="nssa-gis-") as folder:
        suffix = place.suffix
        for file in [place, *place.parent.glob(f"{_escaped(place.stem)}.*")]:
            link = Path(folder, _STEM + (suffix if file == place else file.name[len(place.stem) :]))
            if not link.is_symlink():
                link.symlink_to(file)
        yield str(Path(folder, _STEM + suffix))


def _escaped(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)

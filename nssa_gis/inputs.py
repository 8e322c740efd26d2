"""Names of the files that a run reads and writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nssa_gis.errors import NssaError, UsageError


def printable(path: str | os.PathLike[str]) -> str:
    """Spell a path so that it can be written in any text: bytes that are no UTF-8 are escaped."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def check_name(path: str | os.PathLike[str], what: str) -> None:
    """Refuse a name that no file has, or that cannot be written into a layer.

    Parameters
    ----------
    path : str or path
    what : str
        What the file is, for the message.

    Raises
    ------
    UsageError
        It is empty.
    NssaError
        It is not UTF-8.
    """
    name = os.fspath(path)
    if not name:
        raise UsageError(f"the name of {what} is empty; give a file")
    if printable(name) != name:
        raise NssaError(f"{printable(name)}: the name of {what} is not UTF-8; rename the file")


def keep_inputs(outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse to write over what is read, under whatever name.

    Parameters
    ----------
    outputs : iterable of path
        Files to be written; those that are not there yet are no danger.
    inputs : iterable of str or path
        Files that are read; what is no local file is passed over.

    Raises
    ------
    UsageError
        One of ``outputs`` is one of ``inputs``.
    """
    read = [path for path in inputs if os.path.exists(path)]
    for output in map(Path, outputs):
        if output.exists() and any(os.path.samefile(path, output) for path in read):
            raise UsageError(f"the output is also an input: {output}; choose another name")

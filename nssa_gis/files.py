"""Names of the files that a run reads and writes, and passwords that are kept out of them."""

from __future__ import annotations

import os
import re
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


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse an output that could not be written in the end, before the work begins.

    Raises
    ------
    UsageError
        Its folder does not exist.
    NssaError
        It exists, and may not be replaced.
    """
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist")
    if path.exists() and not overwrite:
        raise NssaError(f"{path}: exists already; give another name or --overwrite")


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


# Who is given a layer is not given the login of the server that its scene came from. The QGIS plugin has the same
# rules: it runs where this package cannot be imported.
#: The login of an address; values of parameters that are secrets by their name, quoted or not (PG:, web maps, tokens).
_LOGIN = re.compile(r"(://)[^/\s\"']*@|(%3A%2F%2F)[^/\s\"'&]*?%40", re.IGNORECASE)
_SECRET = re.compile(
    r"((?:password|passwd|pwd|authcfg|access_?token|token|secret|signature|(?<![a-z])sig|api[_-]?key"
    r"|[?&;](?:[\w-]*key|code|jwt|pass)|authorization)\s*=\s*(?:(?:bearer|basic)\s+)?)"
    r"""('(?:[^'\\]|\\.)*'|\\?"[^"]*"|[^\s"'&|,;\\]+)""",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """Give a text with ``***`` in the place of the passwords in it."""
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1\2***@", text))

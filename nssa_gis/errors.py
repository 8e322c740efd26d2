"""Errors that a user can act on.

Every message is one line: what is wrong, with which file, and what to do. The command line prints it without
a traceback; the exit code is an attribute of the class (README, "Exit codes").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class NssaError(Exception):
    """A run cannot go on; the message says why and what to do.

    Attributes
    ----------
    exit_code : int
        What the process ends with: 1.
    """

    exit_code = 1


class UsageError(NssaError):
    """An option or an argument makes no sense; nothing was started.

    Attributes
    ----------
    exit_code : int
        What the process ends with: 2.
    """

    exit_code = 2


def first_fault(error: ValidationError) -> str:
    """Name the first wrong field of a pydantic model and what it should be, in one line.

    Parameters
    ----------
    error : pydantic.ValidationError

    Returns
    -------
    str
        Such as ``gsd_range.0: should be greater than 0, not -1``.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    field = "".join(f" {part + 1}" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(". ")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("a valid tuple", "a list")
    if first["type"] == "missing":
        message = "is missing"
    elif first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        message = "is not known; check the spelling"
    elif message.startswith("should") and not isinstance(first["input"], dict):
        message += f", not {first['input']!a:.60}"
    return f"{field}: {message}" if field else message

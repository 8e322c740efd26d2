"""Errors that a user can act on.

Every message is one line: what is wrong, with which file, and what to do. The command line prints it without
a traceback; the exit code is an attribute of the class (README, "Exit codes").
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
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


class OutOfMemory(NssaError):
    """The machine or the GPU has too little memory.

    Attributes
    ----------
    exit_code : int
        What the process ends with: 1.
    """


#: How libraries say that memory is short, in small letters: PyTorch, oneDNN, CUDA, cuDNN, cuBLAS, Metal, OpenCL, ONNX
#: Runtime, OpenVINO, GDAL, NumPy, C++, Python's threads, and the loader of shared libraries.
_NO_MEMORY = (
    "out of memory",
    "out_of_memory",
    "out_of_resources",
    "not enough memory",
    "insufficient memory",
    "allocate memory",
    "allocatable memory",
    "failed to allocate",
    "unable to allocate",
    "alloc_failed",
    "bad_alloc",
    "bad allocation",
    "allocation failure",
    "allocation_failure",
    "could not create a memory",
    "could not create a primitive",
    "can't start new thread",
    "failed to map segment",
)
_GPU = re.compile(r"\b(cuda|cudnn|cublas|hip|rocm|mps|gpu)")
#: Most characters of a library's own words in a message.
_SAID = 120
#: The number of the error on Windows when the page file is too small for a library.
_SMALL_PAGE_FILE = 1455


#: What libtiff says of an entry of a damaged file that claims to be huge.
_DAMAGED_TIFF = "out of memory reading of"


def memory_error(error: BaseException) -> OutOfMemory | None:
    """Recognise that memory is short, in the words of any library.

    Parameters
    ----------
    error : BaseException
        What a library raised.

    Returns
    -------
    OutOfMemory or None
        One line with advice; None if it is about something else.
    """
    if isinstance(error, OutOfMemory):
        return error
    for link in _chain(error):
        text = str(link).lower()
        if _DAMAGED_TIFF in text:
            return None
        numbers = {getattr(link, "errno", None), getattr(link, "winerror", None)}
        if (
            isinstance(link, MemoryError)
            or numbers & {errno.ENOMEM, _SMALL_PAGE_FILE}
            or any(w in text for w in _NO_MEMORY)
        ):
            said = " ".join(str(link).split())[:_SAID] or type(link).__name__
            if _GPU.search(text):
                return OutOfMemory(
                    f"the GPU is out of memory ({said}); use a smaller --batch-size or --tile (train: --batch, "
                    "--crop), end other programs that use it, or give --device cpu"
                )
            return OutOfMemory(
                f"out of memory ({said}); use a smaller --batch-size or --tile, fewer --readers (train: --batch, "
                "--crop, --workers), or end other programs"
            )
    return None


def explained(error: Exception) -> NssaError:
    """Turn any exception into one that a user can act on; one that is known already stays.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    NssaError
        Its text is one line, except for a text of several lines in an :class:`NssaError`.
    """
    if isinstance(error, NssaError):
        return error
    short = memory_error(error)
    if short is not None:
        return short
    text = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return NssaError(f"a library cannot be loaded ({text[:_SAID]}); nssa-gis doctor checks the installation")
    if isinstance(error, OSError) and error.filename and error.strerror:
        return NssaError(f"{error.filename}: {error.strerror}; check the path, its permissions and the free space")
    return NssaError(f"unexpected {type(error).__name__}: {text}; run again with --debug and report it")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what led to it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


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

"""Files that a run reads and writes: names, writing one whole or not at all, one writer at a time, no passwords."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from nssa_gis.errors import NssaError, UsageError, memory_error

#: Written into pictures that are drawn here, so that a folder of scenes can leave them out.
SOFTWARE = "nssa-gis"


#: Longest name of a file in nearly every file system, bytes.
_MOST_BYTES = 255


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as text that can be printed anywhere; bytes that are not UTF-8 are escaped."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def check_name(path: str | os.PathLike[str], what: str) -> None:
    """Check that a file name is not empty or too long, and is UTF-8, because it is written into layers.

    Parameters
    ----------
    path : str or path
    what : str
        What the file is, for the message.

    Raises
    ------
    UsageError
        The name is empty.
    NssaError
        The name is not UTF-8, or longer than file systems allow.
    """
    name = os.fspath(path)
    if not name:
        raise UsageError(f"the name of {what} is empty; give a file")
    if printable(name) != name:
        raise NssaError(f"{printable(name)}: the name of {what} is not UTF-8; rename the file")
    length = len(os.path.basename(name).encode())
    if length > _MOST_BYTES and "://" not in name and not name.startswith("/vsi"):
        raise NssaError(
            f"{os.path.dirname(name) or '.'}: the name of {what} is too long: {length} bytes of {_MOST_BYTES}"
        )


def check_free(path: Path, overwrite: bool) -> None:
    """Raise an error for an output that cannot be written, before the work begins.

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
    """Refuse to overwrite an input, also through a link or another spelling of its path.

    Parameters
    ----------
    outputs : iterable of path
        Files that will be written.
    inputs : iterable of str or path
        Files that are read; what is not a local file is ignored.

    Raises
    ------
    UsageError
        One of ``outputs`` is one of ``inputs``.
    """
    read = [path for path in inputs if os.path.exists(path)]
    for output in map(Path, outputs):
        if output.exists() and any(os.path.samefile(path, output) for path in read):
            raise UsageError(f"the output is also an input: {output}; choose another name")


#: Longest name of a file of ours; more is added to that of a hidden folder.
_NAME_BYTES = _MOST_BYTES - 30
#: Less free space than this explains a failed write, bytes.
_NO_ROOM = 1 << 20


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, replace: bool = True, stale: Iterable[Path] = ()) -> Iterator[Path]:
    """Write a file whole or not at all: in a hidden folder beside it under its own name, then renamed.

    Every file that the block leaves in that folder is moved, the one that was asked for last, so that a format of
    several files works, too. A symbolic link stays; the file that it points to is replaced.

    Parameters
    ----------
    path : str or path
        The file.
    replace : bool
        Whether a file of this name may be there at the end.
    stale : iterable of Path
        Files beside it that are wrong for the new one, such as a database's log; removed just before the move.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    NssaError
        The folder is missing or not writable, the disk is full, or the file appeared meanwhile. Nothing is left
        behind, and an older file stays as it was.
    """
    target = Path(os.path.realpath(path))  # a move would replace a symbolic link
    with scratch_folder(target) as folder:
        try:
            partial = folder / target.name
            yield partial
            made = [*sorted(file for file in folder.iterdir() if file != partial), partial]
            for file in made:
                _sync(file)
            if not replace and target.exists():
                raise NssaError(f"{printable(path)}: appeared meanwhile; give another name or --overwrite")
            if target.exists():  # what its owner allowed others stays
                shutil.copymode(target, partial)
            targets = [target.with_name(file.name) for file in made]
            for file in stale:
                if file not in targets:
                    file.unlink(missing_ok=True)
            for file, place in zip(made, targets, strict=True):
                os.replace(file, place)
        except OSError as error:
            raise write_error(path, error) from error


@contextlib.contextmanager
def scratch_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a hidden folder beside a file, removed at the end; :func:`remove_leftovers` finds what a killed run left.

    Raises
    ------
    NssaError
        The folder of ``path`` does not exist or cannot be written to.
    """
    folder = _hidden_folder(Path(path))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_working_folder() -> None:
    """Check that the working folder exists: libraries end the process without one, and relative paths mean nothing.

    Raises
    ------
    NssaError
        It was removed.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise NssaError(
            f"the working folder cannot be used any more ({error.strerror}); change to another one (cd) and start again"
        ) from error


def make_folder(path: Path, advice: str) -> None:
    """Make a folder and its parents, unless it is there.

    Parameters
    ----------
    path : Path
    advice : str
        What to do if it cannot be made.

    Raises
    ------
    NssaError
        It cannot be made, or a file has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NssaError(f"{printable(path)}: the folder cannot be made ({error.strerror}); {advice}") from error


def check_folder(path: str | os.PathLike[str]) -> None:
    """Find out whether a file can be made beside a path.

    Raises
    ------
    NssaError
        The folder of ``path`` does not exist or cannot be written to.
    """
    os.rmdir(_hidden_folder(Path(path)))


def remove_leftovers(path: Path) -> None:
    """Remove what killed runs left of :func:`atomic_write`; call it only while no other run writes this file."""
    for folder in path.parent.iterdir():
        if folder.name.startswith(_prefix(path)):
            shutil.rmtree(folder, ignore_errors=True)


def write_error(path: str | os.PathLike[str], error: Exception) -> NssaError:
    """Explain in one line why a file could not be written.

    Parameters
    ----------
    path : str or path
        The file.
    error : Exception
        What the system or a library said.
    """
    short = memory_error(error)
    if short is not None:
        return short
    folder = Path(path).parent
    # the message of a library may not say that the disk is full
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if full or (folder.is_dir() and shutil.disk_usage(folder).free < _NO_ROOM):
        return NssaError(f"the disk is full: {printable(path)}; free some space and try again")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return NssaError(
        f"{printable(path)}: cannot be written ({' '.join(str(reason).split())}); free space, close it in other "
        "programs, or choose another place"
    )


def beside(path: Path, suffix: str) -> Path:
    """Path of a file that belongs to an output and is named after it; a name near the limit is shortened."""
    name = path.name + suffix
    if len(os.fsencode(name)) > _NAME_BYTES:
        mark = f"~{zlib.crc32(os.fsencode(path.name)):08x}"
        kept = os.fsencode(path.name)[: _NAME_BYTES - len(mark) - len(suffix)].decode("utf-8", "ignore")
        name = kept + mark + suffix
    return path.with_name(name)


def _prefix(path: Path) -> str:
    # mkdtemp adds to it
    return beside(path.with_name(f".{path.name}"), ".partial-").name


def _hidden_folder(path: Path) -> Path:
    # Beside the file, because only a move within one file system is atomic.
    try:
        return Path(tempfile.mkdtemp(prefix=f"{_prefix(path)}{os.getpid()}-", dir=path.parent))
    except FileNotFoundError as error:
        raise NssaError(
            f"{printable(path)}: cannot be written: the folder {printable(path.parent)} does not exist; create it first"
        ) from error
    except OSError as error:
        raise NssaError(
            f"{printable(path)}: the folder {printable(path.parent)} cannot be written to ({error.strerror}); "
            "choose another one"
        ) from error


def _sync(file: Path) -> None:
    # Else a power cut after the move could leave an empty file under the final name.
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _has_locks(folder: Path) -> bool:
    """Whether the file system of a folder has locks, found out by trying."""
    if os.name == "nt":
        return True
    import fcntl

    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP):
                return False
            raise
    return True


class OutputLock:
    """Hold the right to write one output.

    The lock is the operating system's, on ``<output>.lock``: it goes with the process, however that ends, so a file
    left by a killed run locks nobody out.

    Parameters
    ----------
    output : Path
        The file to be written; its folder must exist.

    Attributes
    ----------
    supported : bool
        Whether the file system has locks; some of clusters have none, and there two runs are not kept apart.

    Raises
    ------
    NssaError
        Another live run holds the lock, the lock of another user cannot be opened, or the folder cannot be written to.
    """

    def __init__(self, output: Path) -> None:
        import filelock  # 30 ms that a command without an output need not wait for

        self.path = beside(output, ".lock")
        self._lock = filelock.FileLock(self.path, timeout=0)
        try:
            if not output.parent.is_dir():  # filelock would create it
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self.supported = _has_locks(output.parent)
            if not self.supported:
                return
            self._lock.acquire()
        except filelock.Timeout:
            raise NssaError(
                f"another run is writing this output: {output} (held by {self._holder()}); "
                "wait for it or choose another output"
            ) from None
        except OSError as error:
            if self.path.exists():
                raise NssaError(
                    f"the lock file {self.path} cannot be opened ({error.strerror}); it belongs to the run of another "
                    "user: if that has ended, delete the file, else choose another output"
                ) from error
            raise NssaError(
                f"cannot write to the folder of the output: {output} ({error.strerror}); "
                "choose an existing, writable folder"
            ) from error
        with contextlib.suppress(OSError):  # on a full disk the lock is held without a name
            self.path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")

    def _holder(self) -> str:
        try:
            name = self.path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # on Windows nobody else reads a locked file
            name = ""
        return name or "an unknown process"

    def release(self) -> None:
        """Release the lock and remove its file; a second call does nothing."""
        if not self._lock.is_locked:
            return
        # Removed while it is held: filelock refuses a lock on a file that was removed meanwhile.
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._lock.release()
        if os.name == "nt":  # an open file cannot be removed there
            with contextlib.suppress(OSError):
                self.path.unlink()

    def __enter__(self) -> OutputLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


# A layer is passed on to others; the login of the server that its scene came from must not be in it. The QGIS plugin
# has a copy of these rules: it runs where this package cannot be imported.
#: The login in a URL, and the values of parameters that are secrets by their name, quoted or not.
_LOGIN = re.compile(r"(://)[^/\s\"']*@|(%3A%2F%2F)[^/\s\"'&]*?%40", re.IGNORECASE)
_SECRET = re.compile(
    r"((?:password|passwd|pwd|authcfg|access_?token|token|secret|signature|(?<![a-z])sig|api[_-]?key"
    r"|[?&;](?:[\w-]*key|code|jwt|pass)|authorization)\s*=\s*(?:(?:bearer|basic)\s+)?)"
    r"""('(?:[^'\\]|\\.)*'|\\?"[^"]*"|[^\s"'&|,;\\]+)""",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """Return a text with ``***`` in place of each password."""
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1\2***@", text))

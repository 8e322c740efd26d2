"""Files that runs keep in the user's profile: inputs that can be used again, and logs. Standard library only."""

import hashlib
import os
import time

#: Days that a file is kept after its last use. An interrupted run can be resumed during this time.
_DAYS = 14
#: Number of logs that are kept.
_LOGS = 20


class Cache:
    """Files made for the engine; the name depends on the content.

    The engine resumes an interrupted run only if its inputs are the same, unchanged files. So the same content must
    give the same file. The access time, which is set here, is the time of the last use.

    Parameters
    ----------
    folder : str
        Folder of the files; created if missing.
    """

    def __init__(self, folder):
        self._folder = folder
        os.makedirs(folder, exist_ok=True)

    def path(self, kind, contents, extension):
        """Return the path for a content, and mark it as used if it is there.

        Parameters
        ----------
        kind : str
            Start of the file's name.
        contents : iterable of bytes
            What the file is made from.
        extension : str
            With its dot.
        """
        digest = hashlib.sha256()
        for part in contents:
            digest.update(len(part).to_bytes(8, "little") + part)
        path = os.path.join(self._folder, f"{kind}-{digest.hexdigest()[:24]}{extension}")
        if os.path.exists(path):
            os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns))
        return path

    def partial(self, path):
        """Return the name under which a file is written before it is moved into place."""
        base, extension = os.path.splitext(path)
        return f"{base}.{os.getpid()}-{time.time_ns()}.part{extension}"

    def clean(self):
        """Remove what was not used for long."""
        limit = time.time() - _DAYS * 86400
        for entry in _entries(self._folder):
            if entry.stat().st_atime < limit:
                _remove(entry.path)


def new_log(folder, name):
    """Return the path for the log of a new run, and remove the oldest ones."""
    os.makedirs(folder, exist_ok=True)
    logs = sorted((e for e in _entries(folder) if e.name.endswith(".log")), key=lambda entry: entry.stat().st_mtime)
    for entry in logs[: max(0, len(logs) + 1 - _LOGS)]:
        _remove(entry.path)
    unique = f"{os.getpid()}-{time.time_ns() % 10**6:06}"
    return os.path.join(folder, f"{time.strftime('%Y%m%d-%H%M%S')}-{unique}-{name}.log")


def _entries(folder):
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.is_file()]


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass  # on Windows: in use

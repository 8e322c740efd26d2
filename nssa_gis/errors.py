"""Errors that a user can act on.

Every message is one line: what is wrong, with which file, and what to do. The command line prints it without
a traceback; the exit code is an attribute of the class (README, "Exit codes").
"""


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

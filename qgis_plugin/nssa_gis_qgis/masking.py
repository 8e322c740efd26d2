"""Keep passwords out of logs, messages and layers, by the rules of nssa_gis/files.py (a test compares them)."""

import re

#: The login in a URL, and the values of parameters that are secrets by their name, quoted or not.
_LOGIN = re.compile(r"(://)[^/\s\"']*@|(%3A%2F%2F)[^/\s\"'&]*?%40", re.IGNORECASE)
_SECRET = re.compile(
    r"((?:password|passwd|pwd|authcfg|access_?token|token|secret|signature|(?<![a-z])sig|api[_-]?key"
    r"|[?&;](?:[\w-]*key|code|jwt|pass)|authorization)\s*=\s*(?:(?:bearer|basic)\s+)?)"
    r"""('(?:[^'\\]|\\.)*'|\\?"[^"]*"|[^\s"'&|,;\\]+)""",
    re.IGNORECASE,
)


def masked(text):
    """Return a text without the passwords in it."""
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1\2***@", text))

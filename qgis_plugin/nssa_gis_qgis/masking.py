"""Keeping passwords out of logs, messages and layers."""

import re

#: The login of an address; values of parameters that are secrets by their name, quoted or not (PG:, web maps, tokens).
_LOGIN = re.compile(r"(://)[^/\s\"']*@")
_SECRET = re.compile(
    r"((?:password|passwd|pwd|authcfg|access_?token|token|api_?key|secret|signature|(?<![a-z])sig)\s*=\s*)"
    r"""('(?:[^'\\]|\\.)*'|\\?"[^"]*"|[^\s"'&|,;\\]+)""",
    re.IGNORECASE,
)


def masked(text):
    """Give a text without the passwords in it."""
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1***@", text))

"""Common parts of the engine benchmarks: options, new processes, tables."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import save_json

ROOT = Path(__file__).parents[1]

#: Longer cells (messages) are cut in the table; the JSON has them in full.
_WIDEST = 100


def parser(description: str) -> argparse.ArgumentParser:
    """Options of all engine benchmarks."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="at most a minute on 2 cores")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    return options


def fresh(module: str, *arguments: str) -> dict[str, Any]:
    """Call ``module.worker(*arguments)`` in a new process and return its dict."""
    code = f"import json, sys, {module} as m; print(json.dumps(m.worker(*sys.argv[1:])))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table; where the columns change, print a new header."""
    last: list[str] = []
    for row in rows:
        if list(row) != last:
            last = list(row)
            same = [r for r in rows if list(r) == last]
            width = {k: max(len(k), *(len(_cell(r[k])) for r in same)) for k in last}
            print("  ".join(k.ljust(width[k]) for k in last).rstrip())
        print("  ".join(_cell(row[k]).ljust(width[k]) for k in last).rstrip())


def write_json(rows: Sequence[dict[str, Any]], target: Path | None) -> None:
    """Write ``{"rows": [...], "load": ...}``; with a high load of the machine the seconds are less reliable."""
    if target:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        save_json(target, {"rows": list(rows), "load_1min": load})


def _cell(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."

"""What the benchmarks of the engine share: the tests' planted detector, layers as values, fresh processes."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
DRIVER = TESTS / "jobs" / "driver.py"

#: Longer cells (messages) are cut in the table; the JSON has them whole.
_WIDEST = 100

# The tests' helpers are no package: they are found as the tests find them.
sys.path[:0] = [str(TESTS)]

from planted import GSD, PlantedBackend, make_package, make_scene  # noqa: E402

__all__ = ["DRIVER", "GSD", "ROOT", "TESTS", "PlantedBackend", "make_package", "make_scene"]


def parser(description: str) -> argparse.ArgumentParser:
    """Options that all of them take."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="at most a minute on 2 cores")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    return options


def layer_records(path: Path) -> list[Any]:
    """Geometry and all fields of a layer, in the order of the file, as values that can be compared."""
    meta, _, geometry, fields = pyogrio.raw.read(path, layer=path.stem)
    return [geometry.tolist(), *[(name, f.tolist()) for name, f in zip(meta["fields"], fields, strict=True)]]


def layer_boxes(path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Boxes of a layer in scene pixels with the class, ``x0, y0, x1, y1, class_id`` (N, 5), sorted."""
    names = ["x_px", "y_px", "w_px", "h_px", "class_id"]
    meta, _, _, fields = pyogrio.raw.read(path, layer=path.stem, columns=names, read_geometry=False)
    column = dict(zip(meta["fields"], fields, strict=True))
    x, y, w, h, label = (column[name].astype(np.float64) for name in names)
    return ordered(np.stack([x, y, x + w, y + h, label], axis=1))


def ordered(boxes: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows sorted, so that two sets can be compared row by row."""
    boxes = np.asarray(boxes, np.float64)
    return boxes[np.lexsort(boxes.T)]


def same_boxes(found: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], tolerance: float) -> bool:
    """Whether boxes with class (N, 5) are the same, one to one, each coordinate within a tolerance in pixels."""
    if found.shape != truth.shape:
        return False
    tree = shapely.STRtree(shapely.box(*truth[:, :4].T))
    mine, theirs = tree.query(shapely.box(*found[:, :4].T), predicate="intersects")
    near = (np.abs(found[mine] - truth[theirs]) <= tolerance).all(axis=1)
    return len(set(mine[near])) == len(set(theirs[near])) == len(found)


def fresh(module: str, *arguments: str) -> dict[str, Any]:
    """Call ``module.worker(*arguments)`` in a new process and return the dict that it gives."""
    code = f"import json, sys, {module} as m; print(json.dumps(m.worker(*sys.argv[1:])))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print a table of rows that need not have the same columns; one header for each run of equal ones."""
    last: list[str] = []
    for row in rows:
        if list(row) != last:
            last = list(row)
            same = [r for r in rows if list(r) == last]
            width = {k: max(len(k), *(len(_cell(r[k])) for r in same)) for k in last}
            print("  ".join(k.ljust(width[k]) for k in last).rstrip())
        print("  ".join(_cell(row[k]).ljust(width[k]) for k in last).rstrip())


def write_json(rows: Sequence[dict[str, Any]], target: Path | None) -> None:
    """Write ``{"rows": [...], "load": ...}``; the load of the machine tells how far to trust the seconds."""
    if target:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        target.write_text(json.dumps({"rows": list(rows), "load_1min": load}, indent=1) + "\n")


def _cell(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."

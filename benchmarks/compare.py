"""Common parts of the merge benchmarks: options, running a rival in its own environment, tables."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rivals
from benchmarks.results import save_json
from nssa_gis.boxes.columns import Detections, SceneDetections

_SCRIPT = Path(rivals.__file__)

# One thread for all methods: the benchmark compares methods, not machines.
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")
}


def parser(description: str) -> argparse.ArgumentParser:
    """Options of all merge benchmarks."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="at most a minute on 2 cores")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    options.add_argument(
        "--rivals-python",
        default=sys.executable,
        metavar="PATH",
        help="Python of the environment of benchmarks/requirements-rivals.txt (default: this one)",
    )
    return options


def columns(found: Detections) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the rows that the rivals read: x0, y0, x1, y1, score, label."""
    return np.column_stack([found.boxes, found.scores, found.labels]).astype(np.float64)


@dataclass(frozen=True)
class Result:
    """Result of a rival for one file of `columns`."""

    found: SceneDetections
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def run_rival(python: str, method: str, folder: Path, limit: float) -> tuple[dict[str, Result], str]:
    """Run one rival on every file of `columns` in a folder.

    Returns
    -------
    results : dict
        File stem -> Result, of the files that were finished in time.
    trouble : str
        The reason if some are missing, else empty.
    """
    for old in folder.glob("*.out.npz"):
        old.unlink()
    command = [python, str(_SCRIPT), method, str(folder)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
    trouble = ""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
        if done.returncode == rivals.NOT_INSTALLED:
            trouble = "not installed"
        elif done.returncode:
            trouble = f"failed: {(done.stderr.strip().splitlines() or [f'exit {done.returncode}'])[-1]}"
    except subprocess.TimeoutExpired:
        trouble = f"over {limit:.0f} s in all"
    results = {}
    for target in folder.glob("*.out.npz"):
        with np.load(target) as data:
            found = SceneDetections.of(data["boxes"], data["scores"], data["labels"])
            name = target.name.removesuffix(".out.npz")
            results[name] = Result(
                found, float(data["seconds"]), float(data["cpu_seconds"]), float(data["peak_rss_mb"])
            )
    return results, trouble


def report(rows: Sequence[dict[str, Any]], left_out: Sequence[str], header: Sequence[str], target: Path | None) -> None:
    """Print the table and the missing results; write the JSON."""
    table = [[_cell(row[name]) for name in header] for row in rows]
    widths = [max(len(name), *(len(line[k]) for line in table)) for k, name in enumerate(header)]
    for line in [list(header), ["-" * w for w in widths], *table]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for reason in left_out:
        print(f"skipped: {reason}")
    if target:
        save_json(target, {"rows": list(rows), "left_out": list(left_out)})


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)

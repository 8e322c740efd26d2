"""How well objects are merged over tile seams: simulated worlds with known truth, our merge and the rivals.

Missed: true objects that no output matches. Spurious: outputs that match no object. Both in per cent of the true
objects. Matching is one to one, best overlap first, at the IoU that `benchmarks.worlds.WORLDS` states (0.7; 0.5 with
the noisy detector). It ignores the class; `wrong_class_pct` counts wrong classes. "oracle" keeps the best raw box of
each object, and every invented one. What it misses, the detector missed. It cannot join pieces.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rivals
from benchmarks.compare import columns, parser, report, run_rival
from benchmarks.overlap_merge import METHODS, merge
from benchmarks.worlds import WORLDS, World, build
from nssa_gis.boxes.columns import Detections, GridDetections
from nssa_gis.boxes.iou import overlapping_pairs, pair_iou
from nssa_gis.seams.pairs import one_to_one

_HEADER = ("world", "method", "missed_pct", "spurious_pct", "box_err_px", "wrong_class_pct", "seconds")


def score(world: World, found: Detections) -> dict[str, float]:
    """Compare a result with the truth of its world."""
    truth, count = world.truth.boxes(), len(world.truth)
    both = np.concatenate([truth, found.boxes])
    i, j, overlap = overlapping_pairs(both, np.zeros(len(both), np.int64), world.match_iou)
    i, j = np.minimum(i, j), np.maximum(i, j)
    across = (i < count) & (j >= count)
    i, j, overlap = i[across], j[across] - count, overlap[across]
    # Where two objects overlap, the output with the right class is matched first.
    same = world.truth.label[i] == found.labels[j]
    chosen = one_to_one(i, j, overlap + same)
    i, j = i[chosen], j[chosen]
    return {
        "missed_pct": 100.0 * (count - len(i)) / count,
        "spurious_pct": 100.0 * (len(found) - len(j)) / count,
        "box_err_px": float(np.abs(truth[i] - found.boxes[j]).mean()) if len(i) else float("nan"),
        "wrong_class_pct": 100.0 * float((world.truth.label[i] != found.labels[j]).sum()) / count,
    }


def oracle(world: World) -> GridDetections:
    """Select the best raw box of each object, and all boxes that show no object."""
    shown = np.flatnonzero(world.source >= 0)
    source = world.source[shown]
    quality = pair_iou(world.truth.boxes()[source], world.raw.boxes[shown])
    order = np.lexsort((-quality, source))
    first = np.concatenate([[True], np.diff(source[order]) > 0])
    return GridDetections.concat([world.raw.take(shown[order[first]]), world.raw.take(world.source < 0)])


def run_ours(world: World) -> list[dict[str, Any]]:
    """Run our methods on one world."""
    rows = [{"world": world.name, "method": "oracle", **score(world, oracle(world)), "seconds": 0.0}]
    for method in METHODS:
        start = time.perf_counter()
        found = merge(world.raw, world.grid, method)
        seconds = time.perf_counter() - start
        rows.append({"world": world.name, "method": method, **score(world, found), "seconds": seconds})
    return rows


def run_rivals(worlds: list[World], python: str, limit: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Run every rival on all worlds; return the rows and what was skipped."""
    rows: list[dict[str, Any]] = []
    left_out = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for world in worlds:
            np.save(folder / f"{world.name}.npy", columns(world.raw))
        for method in rivals.METHODS:
            results, trouble = run_rival(python, method, folder, limit)
            for world in worlds:
                if world.name in results:
                    result = results[world.name]
                    scores = score(world, result.found)
                    rows.append({"world": world.name, "method": method, **scores, "seconds": result.seconds})
            if trouble:
                missing = ", ".join(w.name for w in worlds if w.name not in results)
                left_out.append(f"{method} ({missing}): {trouble}")
    return rows, left_out


def main() -> None:
    """Command line."""
    options = parser("Seam worlds: missed and spurious objects, ours against the rivals.")
    options.add_argument("--side", type=int, metavar="PX", help="side of the square scenes")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    side = asked.side or (4000 if asked.quick else 12000)
    worlds = [build(name, side, asked.seed) for name in WORLDS]
    rows: list[dict[str, Any]] = []
    for world in worlds:
        print(f"{world.name}: {len(world.truth)} objects, {len(world.raw)} raw detections, {len(world.grid)} tiles")
        rows += run_ours(world)
    others, left_out = run_rivals(worlds, asked.rivals_python, 5.0 if asked.quick else 300.0)
    rows = sorted(rows + others, key=lambda row: list(WORLDS).index(row["world"]))
    report(rows, left_out, _HEADER, asked.json)


if __name__ == "__main__":
    main()

"""Merges of other libraries, one function each; run by path with the Python of the rivals' own environment.

``python rivals.py METHOD FOLDER`` reads each ``NAME.npy`` there (float64 columns x0, y0, x1, y1, score, label)
and writes ``NAME.out.npz`` (boxes, scores, labels, seconds, cpu_seconds, peak_rss_mb). Exit code 3: that rival is
not installed. Imports nothing of nssa_gis.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

# numpy only here: this file also runs where nssa_gis is not installed.
Rows = np.ndarray[Any, np.dtype[np.float64]]
NOT_INSTALLED = 3


def sahi(rows: Rows, *, kind: str, metric: str, threshold: float) -> Rows:
    """SAHI's post-processing on arrays: its matching, then its pairwise hulls (`_apply_merge`)."""
    from sahi.postprocess import combine
    from sahi.postprocess.backends import set_postprocess_backend

    set_postprocess_backend("auto")
    if kind == "nms":
        return rows[np.asarray(combine.batched_nms(rows, metric, threshold), np.intp)]
    match = {"greedy": combine.batched_greedy_nmm, "nmm": combine.batched_nmm}[kind]
    merged = []
    for keep, others in match(rows, metric, threshold).items():
        box = rows[keep].copy()
        for other in others:
            # SAHI merges a box only if it still matches the hull so far.
            if _overlap(box, rows[other], metric) > threshold:
                box[:2] = np.minimum(box[:2], rows[other, :2])
                box[2:4] = np.maximum(box[2:4], rows[other, 2:4])
                box[4] = max(box[4], rows[other, 4])
        merged.append(box)
    return np.array(merged).reshape(-1, 6)


def _overlap(a: Rows, b: Rows, metric: str) -> float:
    inter = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return float(inter / (min(area_a, area_b) if metric == "IOS" else area_a + area_b - inter))


def lsnms(rows: Rows, *, threshold: float) -> Rows:
    """NMS by an R-tree."""
    from lsnms import nms

    keep = nms(rows[:, :4], rows[:, 4], iou_threshold=threshold, class_ids=rows[:, 5].astype(np.int64))
    return rows[np.asarray(keep, np.intp)]


def torchvision(rows: Rows, *, threshold: float) -> Rows:
    """`batched_nms` on one CPU thread."""
    import torch
    from torchvision.ops import batched_nms

    torch.set_num_threads(1)
    boxes, scores, labels = (torch.from_numpy(np.ascontiguousarray(c)) for c in (rows[:, :4], rows[:, 4], rows[:, 5]))
    kept: Rows = rows[batched_nms(boxes, scores, labels, threshold).numpy()]
    return kept


def supervision(rows: Rows, *, kind: str, threshold: float) -> Rows:
    """`with_nms` or `with_nmm` of `supervision.Detections`."""
    import supervision as sv

    found = sv.Detections(
        xyxy=rows[:, :4].astype(np.float64),
        confidence=rows[:, 4].astype(np.float32),
        class_id=rows[:, 5].astype(int),
    )
    merged = found.with_nms(threshold) if kind == "nms" else found.with_nmm(threshold)
    return np.column_stack([merged.xyxy, merged.confidence, merged.class_id]).reshape(-1, 6)


METHODS: dict[str, Callable[[Rows], Rows]] = {
    "sahi greedynmm ios .5 (default)": partial(sahi, kind="greedy", metric="IOS", threshold=0.5),
    "sahi greedynmm iou .5": partial(sahi, kind="greedy", metric="IOU", threshold=0.5),
    "sahi nmm ios .5": partial(sahi, kind="nmm", metric="IOS", threshold=0.5),
    "sahi nms ios .5": partial(sahi, kind="nms", metric="IOS", threshold=0.5),
    "lsnms iou .5 (default)": partial(lsnms, threshold=0.5),
    "lsnms iou .3": partial(lsnms, threshold=0.3),
    "torchvision nms iou .5": partial(torchvision, threshold=0.5),
    "supervision nms iou .5": partial(supervision, kind="nms", threshold=0.5),
    "supervision nmm iou .5": partial(supervision, kind="nmm", threshold=0.5),
}


def peak_rss_mb() -> float:
    """Highest resident memory of this program, MB.

    `ru_maxrss` is only the fallback: in a child process it starts with the memory of the parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(method: str, folder: str) -> int:
    """Run one rival on every `.npy` of a folder."""
    run = METHODS[method]
    sources = sorted(Path(folder).glob("*.npy"))
    try:
        # Imports and just-in-time compilation happen here and are not timed.
        run(np.load(sources[0])[:200])
    except ImportError as error:
        print(error, file=sys.stderr)
        return NOT_INSTALLED
    for source in sources:
        rows = np.load(source)
        start, start_cpu = time.perf_counter(), time.process_time()
        merged = run(rows)
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        peak = peak_rss_mb()
        # Renamed when complete, because the caller may end this process at any time.
        part = source.with_suffix(".part.npz")
        boxes, scores, labels = merged[:, :4], merged[:, 4], merged[:, 5]
        np.savez(part, boxes=boxes, scores=scores, labels=labels, seconds=seconds, cpu_seconds=cpu, peak_rss_mb=peak)
        part.replace(source.with_suffix(".out.npz"))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

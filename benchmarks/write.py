"""Measure how long writing a layer takes, and how much memory.

Records come in batches of 5000 and are made while the layer is written, as in a run. `seconds` and `cpu_seconds`
include making them (`records` alone is the first row), the spatial index, the style and the final fsync. Each run is a
new process; `peak_mb` is its peak memory with Python and the libraries, `grown_mb` how much of it writing added.
`gpkg append` adds a tenth of the rows to a layer of that size.
"""

from __future__ import annotations

import collections
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from affine import Affine
from pyproj import CRS

from benchmarks.engine import fresh, parser, print_rows, write_json
from benchmarks.rivals import peak_rss_mb
from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.schema import LayerInfo, records
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer

_FORMATS = ("gpkg", "geojson", "fgb", "parquet", "shp", "csv")
_BATCH = 5000
_SIDE = 40_000
_INFO = LayerInfo("town", "vehicles", "1.2", ("car", "truck", "boat"))
_FRAME = Frame(_SIDE, _SIDE, CRS.from_epsg(32632), Affine(0.25, 0, 5e5, 0, -0.25, 5e6))


def batches(count: int) -> Iterator[pa.RecordBatch]:
    """Yield records of random boxes, from the top of a scene of 10 km to its bottom."""
    rng = np.random.default_rng(0)
    for start in range(0, count, _BATCH):
        n = min(_BATCH, count - start)
        y = _SIDE * (start + np.sort(rng.uniform(0, n, n))) / count
        corner = np.stack([rng.uniform(0, _SIDE - 30, n), y], axis=1)
        boxes = np.concatenate([corner, corner + rng.uniform(8, 24, (n, 2))], axis=1)
        yield records(SceneDetections.of(boxes, rng.uniform(0.3, 1, n), rng.integers(0, 3, n)), _FRAME, _INFO)


def worker(form: str, count: str, path: str) -> dict[str, Any]:
    """Write one layer, append to one, or only make the records."""
    n = int(count)
    append = form == "gpkg append"
    rows = n // 10 if append else n
    before = peak_rss_mb()
    start, start_cpu = time.perf_counter(), time.process_time()
    if form == "records":
        collections.deque(batches(rows), maxlen=0)
    else:
        target = inspect_target(path, _FRAME, mode="append" if append else "new")
        write_layer(batches(rows), target, _INFO)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = peak_rss_mb()
    return {
        "format": form,
        "rows": rows,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mb": round(peak),
        "grown_mb": round(peak - before),
        "file_mb": round(Path(path).stat().st_size / 1e6, 1) if form != "records" else 0.0,
    }


def measure(formats: list[str], counts: list[int], repeat: int) -> list[dict[str, Any]]:
    """Run everything; of several runs of the same thing the fastest counts."""
    rows = []
    for count in counts:
        for form in ["records", *formats]:
            runs = []
            for _ in range(repeat):
                with tempfile.TemporaryDirectory() as folder:
                    path = f"{folder}/a.{form.split()[0]}"
                    if form == "gpkg append":
                        fresh("benchmarks.write", "gpkg", str(count), path)
                    runs.append(fresh("benchmarks.write", form, str(count), path))
            rows.append(min(runs, key=lambda run: run["seconds"]))
    return rows


def main() -> None:
    """Command line."""
    options = parser("Time and memory of writing a layer.")
    options.add_argument("--counts", type=float, nargs="+", metavar="N", help="rows of a layer")
    options.add_argument("--formats", nargs="+", choices=(*_FORMATS, "gpkg append"), metavar="FORMAT")
    options.add_argument("--repeat", type=int, default=1, metavar="N", help="runs of each; the fastest counts")
    asked = options.parse_args()
    counts = asked.counts or ([1e4, 1e5] if asked.quick else [1e5, 1e6])
    rows = measure(asked.formats or [*_FORMATS, "gpkg append"], [int(count) for count in counts], asked.repeat)
    print_rows(rows)
    write_json(rows, asked.json)


if __name__ == "__main__":
    main()

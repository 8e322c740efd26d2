"""Detection on the sample scene: accuracy against its truth, agreement of tile sizes, speed, start-up time.

``python -m benchmarks.sample [--quick] [--json FILE]``
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

from benchmarks.results import save_json
from nssa_gis.analysis.layers import agreement, score_layer
from nssa_gis.detect.detector import Detector
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.result import DetectResult
from nssa_gis.detect.run import detect_scene

SAMPLE = Path(__file__).parents[1] / "sample_data"
TILES = (384, 640, 1024)


def accuracy_rows(folder: Path) -> list[dict[str, object]]:
    """Run the scene at three tile sizes; score each layer against the truth and each pair of layers."""
    rows: list[dict[str, object]] = []
    detector = Detector()
    for tile in TILES:
        layer = folder / f"{tile}.gpkg"
        result = detect_scene(detector, SAMPLE / "town.tif", layer, DetectOptions(tile=tile))
        score = score_layer(layer, SAMPLE / "town_truth.geojson", ignore="occluded")
        rows.append(
            {
                "what": f"tile {tile}",
                "objects": result.objects,
                "precision": round(score.precision, 4),
                "recall": round(score.recall, 4),
                "f1": round(score.f1, 4),
                **_speed(result),
            }
        )
    for a, b in combinations(TILES, 2):
        f1 = agreement(folder / f"{a}.gpkg", folder / f"{b}.gpkg")
        rows.append({"what": f"agreement of tiles {a} and {b}", "f1": round(f1, 4)})
    return rows


def _speed(result: DetectResult) -> dict[str, object]:
    """Megapixels of the scene per second: end to end, and for the time in the network alone."""
    return {
        "mp_per_s": round(result.megapixels / result.seconds, 2),
        "model_mp_per_s": round(result.megapixels / result.seconds_model, 2),
        "model_share": round(result.seconds_model / result.seconds, 3),
    }


def start_up(runs: int) -> dict[str, object]:
    """Seconds that the whole process ``nssa-gis --help`` takes."""
    command = [sys.executable, "-c", "from nssa_gis_cli.main import run; run(['--help'])"]
    seconds = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - begun)
    return {"what": "start-up of --help, s", "median": round(statistics.median(seconds), 3)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = accuracy_rows(Path(folder))
    rows.append(start_up(3 if args.quick else 9))
    for row in rows:
        print("  ".join(f"{k}={v}" if k != "what" else f"{v:32s}" for k, v in row.items()))
    if args.json:
        save_json(args.json, {"rows": rows})


if __name__ == "__main__":
    main()

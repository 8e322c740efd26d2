"""Draw the sample scene: an invented town quarter as an orthophoto, with the truth about its vehicles.

``python sample_data/draw_town.py`` writes ``town.tif`` and ``town_truth.geojson`` beside this file. Another
``--seed`` gives another town; ``--coco`` also writes it as training data.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from townscape.output import write_coco, write_geotiff, write_truth
from townscape.scene import make_town

ORIGIN = (564200.0, 5933800.0)


def main() -> None:
    """Parse the command line, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7, help="which town (default 7)")
    parser.add_argument("--size", type=int, default=3200, help="side in pixels (default 3200)")
    parser.add_argument("--gsd", type=float, default=0.2, help="metres per pixel (default 0.2)")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent, help="folder (default here)")
    parser.add_argument("--name", default="town", help="stem of the files (default town)")
    parser.add_argument("--coco", type=Path, help="write PNG and instances.json to this folder instead of a GeoTIFF")
    args = parser.parse_args()
    begin = time.perf_counter()
    image, records = make_town(args.seed, args.size, args.gsd)
    if args.coco is not None:
        write_coco(args.coco, args.name, image, records, args.gsd)
        where = args.coco
    else:
        args.output.mkdir(parents=True, exist_ok=True)
        where = args.output / f"{args.name}.tif"
        write_geotiff(where, image, args.gsd, ORIGIN)
        write_truth(args.output / f"{args.name}_truth.geojson", records, args.gsd, ORIGIN)
    counts = Counter(r["class"] for r in records if not r["occluded"])
    hidden = sum(r["occluded"] for r in records)
    told = ", ".join(f"{n} {label}" for label, n in counts.most_common())
    seconds = time.perf_counter() - begin
    print(f"{where}: {sum(counts.values())} vehicles ({told}), {hidden} more hidden, {seconds:.0f} s")


if __name__ == "__main__":
    main()

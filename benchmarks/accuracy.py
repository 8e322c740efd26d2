"""Accuracy of a model on the held-out scenes of a recipe, per source and per GSD.

``python -m benchmarks.accuracy --data-root DIR [--model NAME|FILE] [--gsds 0.15,0.25] [--quick] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import nssa_gis.train
from nssa_gis.runtime.package import DEFAULT_MODEL, load_package
from nssa_gis.runtime.torch_backend import build_detector
from nssa_gis.train.datasets import load_split
from nssa_gis.train.recipe import load_recipe
from nssa_gis.train.validation import validate

RECIPE = Path(nssa_gis.train.__file__).parent / "recipes" / "vehicles.toml"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, action="append", required=True, help="where the sources lie")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="built-in name or package (default %(default)s)")
    parser.add_argument(
        "--recipe", type=Path, default=RECIPE, help="which scenes are held out (default: the vehicle one)"
    )
    parser.add_argument("--gsds", default="", help="metres per pixel to run at, comma separated (default: the model's)")
    parser.add_argument("--quick", action="store_true", help="at most 20 images a source")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    package = load_package(args.model)
    model = build_detector(package)
    held_out = load_split(load_recipe(args.recipe, args.data_root), "val")
    rows = []
    print(f"{package.info.name} {package.info.version}, float32")
    print(
        f"{'gsd':>5s} {'source':18s} {'objects':>7s} {'AP50':>6s} {'AP':>6s} {'P':>6s} {'R':>6s} {'F1':>6s} {'at':>5s}"
    )
    for gsd in [float(g) for g in args.gsds.split(",") if g] or [package.info.gsd]:
        found = validate(model, held_out, gsd, nms_iou=package.info.nms_iou, limit=20 if args.quick else None)
        for source, a in found.items():
            rows.append({"gsd": gsd, "source": source, **a.__dict__})
            print(
                f"{gsd:5.2f} {source:18s} {a.truths:7d} {a.ap50:6.3f} {a.ap:6.3f} {a.precision:6.3f} "
                f"{a.recall:6.3f} {a.f1:6.3f} {a.threshold:5.2f}"
            )
    if args.json:
        args.json.write_text(json.dumps({"rows": rows}, indent=1))


if __name__ == "__main__":
    main()

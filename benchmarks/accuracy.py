"""Accuracy of a model on the held-out scenes of a recipe: per source, GSD and size; false boxes on empty images.

``python -m benchmarks.accuracy --data-root DIR [--model NAME|FILE] [--gsds 0.15,0.25] [--quick] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

import nssa_gis.train
from nssa_gis.evaluate.coco import in_ignore, iou_matrix
from nssa_gis.model.detector import Detector
from nssa_gis.runtime.package import DEFAULT_MODEL, load_package
from nssa_gis.runtime.torch_backend import build_detector
from nssa_gis.train.datasets import LabelledImage, load_split
from nssa_gis.train.recipe import load_recipe
from nssa_gis.train.validation import detect_image, validate

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
    threshold = package.info.score_threshold
    sizes = recall_by_size(model, held_out, package.info.gsd, package.info.nms_iou, threshold)
    print(
        f"recall at {threshold:.2f} by size in px at {package.info.gsd} m: "
        + ", ".join(f"{k} {v}" for k, v in sizes.items())
    )
    empty = [
        s for s in load_split(load_recipe(args.recipe, args.data_root), "train") if not any(len(i.boxes) for i in s)
    ]
    for images in filter(None, empty):
        images = [i for i in images if not (i.unlabelled.any() or len(i.ignore))][:: 10 if args.quick else 1]
        false, area = false_boxes(model, images, package.info.gsd, package.info.nms_iou, threshold)
        print(
            f"{images[0].source}, {len(images)} images without vehicles: {false} boxes on {area:.2f} km2, "
            f"{false / area:.0f} per km2"
        )
        sizes[f"false boxes per km2, {images[0].source}"] = round(false / area, 1)
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "at the default threshold": sizes}, indent=1))


def recall_by_size(
    model: Detector, sources: Sequence[Sequence[LabelledImage]], gsd: float, nms_iou: float, threshold: float
) -> dict[str, str]:
    """Share of held-out objects found at a threshold (IoU 0.5), by the root of their area in pixels of the network."""
    sides, hits = [], []
    for image in (i for source in sources for i in source if not i.unlabelled.any()):
        found, truth = detect_image(model, image, gsd, None, nms_iou)
        found = found.take((found.scores >= threshold) & ~in_ignore(found.boxes, truth.ignore))
        sides.append(np.sqrt((truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1)))
        # matching from the truth's side: each object by its best free detection
        overlap = iou_matrix(found.boxes, truth.boxes)
        hit = np.zeros(len(truth.boxes), bool)
        for row in overlap[np.argsort(-found.scores, kind="stable")] if overlap.size else ():
            best = int(np.where(hit, -1.0, row).argmax())
            hit[best] |= row[best] >= 0.5 and not hit[best]
        hits.append(hit)
    side, hit = np.concatenate(sides), np.concatenate(hits)
    table = {}
    for low, high in pairwise((0, 6, 10, 16, 24, 32, 1000)):
        inside = (side >= low) & (side < high)
        if inside.any():
            table[f"{low}-{high}"] = f"{hit[inside].mean():.3f} (n {inside.sum()})"
    return table


def false_boxes(
    model: Detector, images: Sequence[LabelledImage], gsd: float, nms_iou: float, threshold: float
) -> tuple[int, float]:
    """Count detections on images that hold no object, and the square kilometres of these."""
    found = [detect_image(model, image, gsd, None, nms_iou)[0] for image in images]
    area = sum(i.width * i.height * i.gsd**2 for i in images) / 1e6
    return sum(int((d.scores >= threshold).sum()) for d in found), area


if __name__ == "__main__":
    main()

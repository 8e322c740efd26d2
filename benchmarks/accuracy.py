"""Accuracy of a model on the held-out scenes of a recipe, by source, GSD, class and size; calibration.

``python -m benchmarks.accuracy --data-root DIR [--model NAME|FILE] [--recipe FILE] [--gsds 0.15,0.25]
[--scene-gsds 0.4,0.5] [--published] [--quick] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

import nssa_gis
from benchmarks.results import save_json
from nssa_gis.detect.detector import Detector
from nssa_gis.evaluate.calibration import PlattScaling, calibration_error, fit_platt_scaling, reliability
from nssa_gis.evaluate.coco import average_precisions, ignored, iou_matrix, precision_recall, without_ignored
from nssa_gis.evaluate.sources import Pair, accuracies, curves, detect_image, detect_sources
from nssa_gis.labels.images import LabelledImage
from nssa_gis.labels.registry import read_table
from nssa_gis.raster.resample import resample_image
from nssa_gis.runtime.backends.torch import build_detector
from nssa_gis.runtime.package import DEFAULT_MODEL, load_package
from nssa_gis.train.datasets import load_split
from nssa_gis.train.recipe import Recipe, Source, load_recipe

RECIPE = Path(nssa_gis.__file__).parent / "train" / "recipes" / "vehicles.toml"
_HEAD = f"{'gsd':>5s} {'source':18s} {'objects':>7s} {'AP50':>6s} {'AP':>6s} {'P':>6s} {'R':>6s} {'F1':>6s} {'at':>5s}"


def main() -> None:
    """Measure and print tables."""
    args = _arguments()
    if not args.data_root:
        print("skipped: no --data-root, the folder of the labelled images")
        return
    package = load_package(args.model)
    info = package.info
    detector = Detector.of_network(build_detector(package), info)  # float32: the figures are those of any machine
    recipe, limit = load_recipe(args.recipe, args.data_root), 20 if args.quick else None
    if tuple(recipe.classes) != info.classes:
        raise SystemExit(
            f"{info.name} has the classes {', '.join(info.classes)}, {args.recipe.name} has others; "
            "give the model's recipe with --recipe"
        )
    with TemporaryDirectory() as folder:
        recipe = as_published(recipe, Path(folder)) if args.published else recipe
        splits = {"training": load_split(recipe, "train"), "held-out": load_split(recipe, "val")}
    labels = ", labels as published" if args.published else ""
    print(f"{info.name} {info.version}, {detector.description}{labels}\n{_HEAD}")
    usual = detect_sources(detector, splits["held-out"], limit=limit)
    rows = by_source(usual, info.gsd, len(info.classes))
    for gsd in map(float, filter(None, args.gsds.split(","))):
        if gsd != info.gsd:
            pairs = detect_sources(detector, splits["held-out"], gsd, limit)
            rows += by_source(pairs, gsd, len(info.classes))
    coarse = []
    for gsd in map(float, filter(None, args.scene_gsds.split(","))):
        coarse += on_coarse_scenes(detector, splits["held-out"], gsd, limit)
    threshold = info.score_threshold
    facts = {
        "at the default threshold": at_threshold(usual, threshold),
        "by class": by_class(usual, info.classes, threshold),
        "recall by size": recall_by_size([p for pairs in usual.values() for p in pairs], threshold),
        "calibration": calibration(usual),
        "false boxes": false_boxes(detector, splits, threshold, args.quick),
    }
    if args.json:
        save_json(args.json, {"published": args.published, "rows": rows, "coarse": coarse, **facts})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, action="append", help="folder of the sources")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="built-in name or package (default %(default)s)")
    parser.add_argument(
        "--recipe", type=Path, default=RECIPE, help="recipe that states the held-out scenes (default: the vehicle one)"
    )
    parser.add_argument("--gsds", default="", help="working GSDs, m/px, comma separated (default: the model's)")
    parser.add_argument(
        "--scene-gsds",
        default="",
        help="GSDs that the images are reduced to first, m/px, comma separated: accuracy on coarse scenes",
    )
    parser.add_argument(
        "--published",
        action="store_true",
        help="score against the labels that the sources publish, without the additions of the recipe (a source "
        "without own labels keeps them)",
    )
    parser.add_argument("--quick", action="store_true", help="at most 20 images a source")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    return parser.parse_args()


def by_source(pairs: dict[str, list[Pair]], gsd: float, classes: int) -> list[dict[str, Any]]:
    """Accuracy of each source and of all, at one working GSD."""
    rows = []
    for source, a in accuracies(pairs, classes).items():
        rows.append({"gsd": gsd, "source": source, **{k: v for k, v in a.__dict__.items() if k != "platt"}})
        print(
            f"{gsd:5.2f} {source:18s} {a.truths:7d} {a.ap50:6.3f} {a.ap:6.3f} {a.precision:6.3f} "
            f"{a.recall:6.3f} {a.f1:6.3f} {a.threshold:5.2f}",
            flush=True,
        )
    return rows


def on_coarse_scenes(
    detector: Detector, held_out: Sequence[Sequence[LabelledImage]], gsd: float, limit: int | None
) -> list[dict[str, Any]]:
    """Accuracy of each source and of all on images that are reduced to a GSD first."""
    with TemporaryDirectory() as folder:
        images = [[reduced(image, gsd, Path(folder)) for image in source] for source in held_out]
        pairs = detect_sources(detector, images, limit=limit)
    rows = []
    for source, a in accuracies(pairs, len(detector.info.classes)).items():
        rows.append({"scene_gsd": gsd, "source": source, "ap50": a.ap50, "ap": a.ap, "f1": a.f1})
        print(f"scenes of {gsd:.2f} m: {source:18s} AP50 {a.ap50:.3f} AP {a.ap:.3f} F1 {a.f1:.3f}")
    return rows


def as_published(recipe: Recipe, folder: Path) -> Recipe:
    """Leave out what the recipe adds to sources that have labels of their own, but for GSD and what is not labelled.

    ``folder`` takes the additions that remain.
    """

    def labelled(source: Source) -> bool:
        entries = read_table(source.path, source.format, source.annotations, source.images).entries
        return any(len(entry.boxes) for entry in entries)

    def bare(source: Source) -> Source:
        table = json.loads(Path(source.additions or "").read_text())
        kept = ("id", "file_name", "gsd_m", "not_exhaustive")
        images = [{key: image[key] for key in kept if key in image} for image in table["images"]]
        path = folder / Path(source.additions or "").name
        path.write_text(json.dumps({"images": images, "annotations": [], "categories": table["categories"]}))
        return source.model_copy(update={"additions": str(path)})

    sources = tuple(bare(s) if s.additions and labelled(s) else s for s in recipe.sources)
    return recipe.model_copy(update={"sources": sources})


def reduced(image: LabelledImage, gsd: float, folder: Path) -> LabelledImage:
    """Make an image as coarse as ``gsd``; one that is so already is left as it is."""
    if image.gsd >= gsd:
        return image
    width, height = (max(1, round(side * image.gsd / gsd)) for side in (image.width, image.height))
    scale = np.array([width / image.width, height / image.height] * 2, np.float32)
    pixels = resample_image(image.pixels, height, width)
    boxes, ignore = image.boxes * scale, image.ignore * scale
    path = folder / f"{image.source}_{image.path.stem}.tif"
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(path)
    return replace(image, path=path, width=width, height=height, gsd=gsd, boxes=boxes, ignore=ignore)


def at_threshold(sources: dict[str, list[Pair]], threshold: float) -> list[dict[str, float | str]]:
    """Precision, recall and F1 of each source at one threshold."""
    rows: list[dict[str, float | str]] = []
    print(f"\nat the default threshold {threshold:.2f}: source, P, R, F1")
    for source, curve in curves(sources).items():
        precision, recall, f1 = curve.at(threshold)
        false = int(((curve.scores >= threshold) & ~curve.hits).sum())
        print(f"  {source:18s} {precision:.3f} {recall:.3f} {f1:.3f} ({false} false)")
        rows.append({"source": source, "precision": precision, "recall": recall, "f1": f1})
    return rows


def by_class(sources: dict[str, list[Pair]], classes: Sequence[str], threshold: float) -> list[dict[str, float | str]]:
    """AP of each class in each source that has some, and precision, recall and F1 at one threshold."""
    rows: list[dict[str, float | str]] = []
    if len(classes) == 1:
        return rows
    print(f"\n{'class':14s} {'source':18s} {'objects':>7s} {'AP50':>6s} {'AP':>6s} {'P':>6s} {'R':>6s} {'F1':>6s}")
    for source, pairs in {**sources, "all": [p for own in sources.values() for p in own]}.items():
        truths = [t for _, t in pairs]
        kept = without_ignored(truths, [d for d, _ in pairs])
        table = average_precisions(truths, kept, len(classes), {"all": (0.0, np.inf)}, (1500,))
        for label, name in enumerate(classes):
            curve = precision_recall(truths, kept, label)
            if not curve.truths:
                continue
            ap50, ap = table.ap(iou=0.5, label=label), table.ap(label=label)
            precision, recall, f1 = curve.at(threshold)
            figures = {"ap50": ap50, "ap": ap, "precision": precision, "recall": recall, "f1": f1}
            rows.append({"class": name, "source": source, "truths": curve.truths, **figures})
            print(f"{name:14s} {source:18s} {curve.truths:7d} " + " ".join(f"{v:6.3f}" for v in figures.values()))
    return rows


def recall_by_size(pairs: Sequence[Pair], threshold: float) -> dict[str, str]:
    """Share of objects found at a threshold (IoU 0.5), by the root of their area in pixels of the network."""
    sides, hits = [], []
    for found, truth in pairs:
        found = found.take((found.scores >= threshold) & ~ignored(found, truth))
        sides.append(np.sqrt((truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1)))
        # matching from the truth's side: each object by its best free detection
        overlap = np.where(found.labels[:, None] == truth.labels, iou_matrix(found.boxes, truth.boxes), 0.0)
        hit = np.zeros(len(truth.boxes), bool)
        for row in overlap[np.argsort(-found.scores, kind="stable")] if overlap.size else ():
            best = int(np.where(hit, -1.0, row).argmax())
            hit[best] |= row[best] >= 0.5 and not hit[best]
        hits.append(hit)
    side, hit = np.concatenate(sides), np.concatenate(hits)
    table = {}
    for low, high in pairwise((0, 6, 10, 16, 24, 32, 64, 128, 1000)):
        inside = (side >= low) & (side < high)
        if inside.any():
            table[f"{low}-{high}"] = f"{hit[inside].mean():.3f} (n {inside.sum()})"
    print(f"\nrecall at {threshold:.2f} by size in px: " + ", ".join(f"{k} {v}" for k, v in table.items()))
    return table


def calibration(sources: dict[str, list[Pair]]) -> dict[str, object]:
    """Calibration error of each source: of the scores, and after a Platt scaling fitted on the other sources only.

    The calibration of the package may have been fitted on the source too. So with several classes the second figure is
    no test on an unseen source.
    """
    of_source = curves(sources)
    every = of_source.pop("all")
    score, precision, count = reliability(every.scores, every.hits)
    print("\nscore: precision (detections), " + f"error {calibration_error(every.scores, every.hits):.3f}")
    for s, p, n in zip(score, precision, count, strict=True):
        if n:
            print(f"  {s:.2f}: {p:.2f} ({n})")
    print("calibration error by source: of the scores; with a Platt scaling fitted on all other sources")
    errors = {}
    for name, curve in of_source.items():
        rest = [c for other, c in of_source.items() if other != name]
        line = (
            fit_platt_scaling(np.concatenate([c.scores for c in rest]), np.concatenate([c.hits for c in rest]))
            if rest
            else PlattScaling()
        )
        errors[name] = (
            calibration_error(curve.scores, curve.hits),
            calibration_error(line(curve.scores), curve.hits),
        )
        print(f"  {name:18s} {errors[name][0]:.3f} {errors[name][1]:.3f}")
    table = [[float(s), float(p), int(n)] for s, p, n in zip(score, precision, count, strict=True) if n]
    return {"score, precision, detections": table, "errors": errors}


def false_boxes(
    detector: Detector, splits: Mapping[str, Sequence[Sequence[LabelledImage]]], threshold: float, quick: bool
) -> dict[str, float]:
    """Count detections per km2 on the images of a split on which there is no object."""
    rates = {}
    for split, sources in splits.items():
        empty = {(i.source, i.path): i for images in sources for i in images if i.is_empty}
        for name in sorted({source for source, _ in empty}):
            images = [i for (source, _), i in empty.items() if source == name][:: 10 if quick else 1]
            area = sum(i.width * i.height * i.gsd**2 for i in images) / 1e6
            found = [detect_image(detector, image)[0] for image in images]
            false = sum(int((d.scores >= threshold).sum()) for d in found)
            rates[f"{split} {name}"] = round(false / area, 1)
            print(
                f"{name}, {len(images)} {split} images without objects: {false} boxes on {area:.2f} km2, "
                f"{false / area:.0f} per km2"
            )
    return rates


if __name__ == "__main__":
    main()

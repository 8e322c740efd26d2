"""What each module adds: the same small real task, steps and data for every variant, with several seeds.

``python -m benchmarks.ablation [--data-root DIR] [--run DIR] [--variants plain,all] [--seeds 3] [--quick]
[--json FILE]``

Without ``--data-root`` the task is to find rectangles on noise: it shows that the benchmark runs, and nothing else.
Finished runs stay in the run folder, so an interrupted ablation continues where it stopped. A folder with runs of
another task, network or schedule is refused. Speed is measured at the end, all variants in turn in one process, on the
inference form (folded, bf16 if the CPU has it). AP tiny is for objects of 8 to 16 px a side (root of the area), in
pixels of the network (0.25 m), because the images have several GSDs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.compare import report
from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.evaluate.coco import average_precisions, without_ignored
from nssa_gis.evaluate.protocols import AITOD_AREAS
from nssa_gis.evaluate.sources import detect_image
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.model.config import SIZES, DetectorConfig
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.backends.torch import cpu_has_bf16
from nssa_gis.runtime.folding import fold_batch_norm
from nssa_gis.testing.labels import write_coco
from nssa_gis.train.checkpoint import load_checkpoint
from nssa_gis.train.datasets import load_split
from nssa_gis.train.description import describe
from nssa_gis.train.options import TrainOptions
from nssa_gis.train.recipe import Recipe, load_recipe, recipe_of_folders
from nssa_gis.train.trainer import Trainer

RECIPE = Path(__file__).with_suffix(".toml")
#: Held-out images scored per source, evenly spread.
_IMAGES = 40
#: Side of the image that speed is measured on.
_SIDE = 640


@dataclass(frozen=True)
class Variant:
    """One network (and assigner) of the comparison."""

    config: DetectorConfig
    assigner: str = "gaussian"
    gain: float | None = None  # start value of the gain of the cross-layer attention, if not the usual 0.01


def variants(size: str) -> dict[str, Variant]:
    """All variants of a size, by the name used on the command line."""
    full = SIZES[size]
    plain = full.plain()
    assert full.cross_layer and full.sparse_attention and full.wavelet
    layernorm = replace(full.cross_layer, activation="layernorm")
    dilated = replace(full.sparse_attention, partition="dilated")
    table = {
        "plain": Variant(plain),
        "+nssa": Variant(replace(plain, sparse_attention=full.sparse_attention)),
        "+cca": Variant(replace(plain, cross_layer=full.cross_layer)),
        "+dwc": Variant(replace(plain, wavelet=full.wavelet)),
        "all": Variant(full),
        "all-layernorm": Variant(replace(full, cross_layer=layernorm)),
        "all-dilated": Variant(replace(full, sparse_attention=dilated)),
        "all-tal": Variant(full, "tal"),
        # changes to the cross-layer attention, which alone gains nothing in size n with so few steps
        "+cca gain 0.1": Variant(replace(plain, cross_layer=full.cross_layer), gain=0.1),
    }
    if full.cross_layer.strides != (4, 8, 16):
        table["+cca 4-8-16"] = Variant(replace(plain, cross_layer=replace(full.cross_layer, strides=(4, 8, 16))))
    return table


def task_of(roots: Sequence[Path], folder: Path) -> tuple[Recipe, str]:
    """Give the recipe and its text: that of the real sources, or without roots one of made images in a folder."""
    if roots:
        return load_recipe(RECIPE, roots), RECIPE.read_text()
    made = folder / "made"
    if not made.is_dir():
        write_coco(made, images=8, size=192)
    return recipe_of_folders([made], ["vehicle=car"], 0.25, ["b"], "ablation-made"), "rectangles on noise"


def train(name: str, variant: Variant, recipe: Recipe, text: str, options: TrainOptions, folder: Path) -> None:
    """Train one run, unless its detections exist already."""
    _check_same(
        folder,
        {
            "network": variant.config.to_dict(),
            "assigner": variant.assigner,
            "gain": variant.gain,
            "recipe": text,
            "steps": options.steps,
            "batch": options.batch,
            "crop": options.crop,
        },
    )
    if (folder / "detections.npz").is_file():
        return
    started = time.monotonic()
    chosen = options.model_copy(update={"assigner": variant.assigner})
    trainer = Trainer(recipe, variant.config, chosen, folder, lambda event: None)
    if variant.gain is not None:
        _open_gain(trainer, variant.gain)
    trainer.load()
    held_out = trainer.val_images
    trainer.val_images = []  # the scoring comes later, from the stored detections
    if trainer.checkpoint.is_file():
        trainer.resume()
    trainer.run()
    parts, _ = load_checkpoint(trainer.checkpoint)
    model = DetectionNetwork(variant.config).eval()
    model.load_state_dict(parts["ema"])
    info = describe(recipe, variant.config, trainer.train_images)
    detector = Detector.of_network(model, info, autocast=trainer.autocast)
    rows = []
    for number, image in enumerate(_chosen(held_out)):
        found, _ = detect_image(detector, image)
        rows.append(np.column_stack((np.full(len(found), number), found.boxes, found.scores, found.labels)))
    partial = folder / "partial.npz"
    np.savez(partial, rows=np.concatenate(rows), seconds=time.monotonic() - started)
    partial.replace(folder / "detections.npz")
    print(f"{name} seed {options.seed}: {time.monotonic() - started:.0f} s", flush=True)


def _check_same(folder: Path, facts: dict[str, Any]) -> None:
    """Raise an error if the folder holds a run of another task, network or schedule."""
    path, text = folder / "run.json", json.dumps(facts, sort_keys=True)
    if not path.is_file():
        if (folder / "detections.npz").is_file():
            raise SystemExit(f"{folder}: holds a run that does not say what it is; use another --run folder")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    elif path.read_text() != text:
        raise SystemExit(f"{folder}: holds a run of another task, network or schedule; use another --run folder")


@torch.no_grad()
def _open_gain(trainer: Trainer, value: float) -> None:
    """Start the gain of the cross-layer attention at a larger value."""
    for model in (trainer.model, trainer.average.module):
        for activation in model.neck.cross_layer.act:  # type: ignore[union-attr]
            activation.gain.fill_(value)


def score(folder: Path, truths: Sequence[ImageTruth]) -> dict[str, float]:
    """AP of one finished run over all held-out images; tiny is 8 to 16 px, small 16 to 32 px a side."""
    with np.load(folder / "detections.npz") as data:
        rows = data["rows"]
    found = [
        SceneDetections.of(r[:, 1:5], r[:, 5], r[:, 6])
        for r in (rows[rows[:, 0] == number] for number in range(len(truths)))
    ]
    found = without_ignored(truths, found)
    table = average_precisions(truths, found, 1, AITOD_AREAS, (1, 100, 1500))
    return {"ap50": table.ap(iou=0.5), "ap": table.ap(), "ap tiny": table.ap("tiny"), "ap small": table.ap("small")}


def milliseconds(configs: dict[str, DetectorConfig], repeats: int) -> dict[str, float]:
    """Median milliseconds per megapixel of the network alone; the variants run in turn, so all meet the same load."""
    dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
    image = torch.rand(1, 3, _SIDE, _SIDE).to(dtype).contiguous(memory_format=torch.channels_last)
    models = {}
    for name, config in configs.items():
        model = DetectionNetwork(config).eval()
        fold_batch_norm(model)
        models[name] = model.to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    times: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for name, model in models.items():
                started = time.perf_counter()
                model(image)
                if turn:  # the first turn is a warm-up
                    times[name].append(time.perf_counter() - started)
    return {name: statistics.median(t) * 1e3 / (_SIDE**2 / 1e6) for name, t in times.items()}


def _chosen(sources: Sequence[Sequence[Any]]) -> list[Any]:
    """At most `_IMAGES` images of each source that can be scored, evenly spread."""
    chosen = []
    for source in sources:
        images = [i for i in source if i.can_be_scored]
        picks = np.unique(np.linspace(0, max(len(images) - 1, 0), min(_IMAGES, len(images))).astype(int))
        chosen += [images[i] for i in picks]
    return chosen


def _truths(recipe: Recipe) -> list[ImageTruth]:
    """Labels of the scored images, in pixels of the working grid."""
    truths = []
    for image in _chosen(load_split(recipe, "val")):
        truths.append(image.truth(np.full(4, image.gsd / recipe.gsd, np.float32)))
    return truths


def main() -> None:
    """Train what is missing, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data-root", type=Path, action="append", default=[], help="folder of the sources (default: made images)"
    )
    parser.add_argument("--run", type=Path, help="folder of the runs (default: runs/ablation; with --quick a new one)")
    parser.add_argument("--size", choices=[s for s in SIZES if s != "nssa-paper"], default="nssa-s")
    parser.add_argument("--variants", default="", help="comma separated (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="optimiser steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="crops a step (default %(default)s)")
    parser.add_argument("--crop", type=int, default=192, help="side of a crop in pixels (default %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--quick", action="store_true", help="plain and all, 1 seed, 2 steps, to see that it runs")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    if args.quick:
        args.seeds, args.steps, args.batch = 1, 2, 4
        args.variants = args.variants or "plain,all"
    known = variants(args.size)
    names = args.variants.split(",") if args.variants else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"unknown variants {sorted(unknown)}; known: {', '.join(known)}")
    with contextlib.ExitStack() as held:
        if args.run is None:
            args.run = Path(held.enter_context(TemporaryDirectory())) if args.quick else Path("runs/ablation")
        rows = measure(args, {name: known[name] for name in names})
    report(rows, [], list(rows[0]), args.json)


def measure(args: argparse.Namespace, chosen: dict[str, Variant]) -> list[dict[str, Any]]:
    """Train what is missing and measure all; a row for each variant."""
    recipe, text = task_of(args.data_root, args.run)
    if not args.data_root:
        print("no --data-root: made images; the accuracy says nothing")
    for seed in range(args.seeds):
        for name, variant in chosen.items():
            options = TrainOptions(
                steps=args.steps, batch=args.batch, crop=args.crop, seed=seed, threads=args.threads, device="cpu"
            )
            train(name, variant, recipe, text, options, args.run / f"{name}-{seed}")
    truths = _truths(recipe)
    speed = milliseconds({name: variant.config for name, variant in chosen.items()}, 3 if args.quick else 15)
    rows = []
    for name, variant in chosen.items():
        figures = [score(args.run / f"{name}-{seed}", truths) for seed in range(args.seeds)]
        row: dict[str, Any] = {"variant": name}
        for key in figures[0]:
            values = [f[key] for f in figures]
            row[key] = statistics.mean(values)
            row[f"{key} sd"] = statistics.stdev(values) if len(values) > 1 else float("nan")
        row["params"] = sum(p.numel() for p in DetectionNetwork(variant.config).parameters())
        row["ms/MP"] = speed[name]
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()

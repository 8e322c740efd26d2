"""``nssa-gis evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import atomic_write
from nssa_gis_cli.console import progress
from nssa_gis_cli.options import debug_option, progress_option

if TYPE_CHECKING:
    from nssa_gis.evaluate.protocols import ProtocolScore
    from nssa_gis.runtime.views import Augmentation

PROTOCOLS = ("coco", "visdrone", "visdrone-official", "aitod")


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    "protocols",
    type=click.Choice(PROTOCOLS),
    multiple=True,
    default=("coco",),
    show_default=True,
    help="How to score; may be repeated, the images are looked at once.",
)
@click.option(
    "--classes",
    multiple=True,
    metavar="CLASS=CATEGORY+...",
    help="Which categories of the dataset a class of the model stands for: these alone; by default that of its name.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["coco", "visdrone", "dota", "yolo", "voc"]),
    help="Format of the labels; AI-TOD is coco.  [default: by what lies in the folder]",
)
@click.option("--annotations", metavar="PATH", help="Labels under DATASET, if not at the format's own place.")
@click.option("--images", metavar="PATH", help="Images under DATASET, if not at the format's own place.")
@click.option(
    "--gsd",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M/PX",
    help="Metres per pixel of images that state none.  [default: their pixels are used as they are]",
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="FACTOR",
    help="Enlarge every image by this before detection.  [default: from its GSD to the model's]",
)
@click.option(
    "--tta",
    type=click.Choice(["none", "flip", "rot", "scale"]),
    default="none",
    show_default=True,
    help="Test-time augmentation, as in detect.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only N images, evenly spread.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write all figures as JSON.")
@click.option(
    "--curve",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="Draw the precision-recall curves (of the first protocol).",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:<n> or mps.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all cores]")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@progress_option
@debug_option
def evaluate(
    model: str,
    dataset: Path,
    protocols: tuple[str, ...],
    classes: tuple[str, ...],
    kind: str | None,
    annotations: str | None,
    images: str | None,
    gsd: float | None,
    scale: float | None,
    tta: Augmentation,
    limit: int | None,
    json_file: Path | None,
    curve: Path | None,
    device: str,
    threads: int | None,
    overwrite: bool,
    progress_mode: str,
    debug: bool,
) -> None:
    """Measure the accuracy of MODEL on a labelled DATASET.

    DATASET is a folder of VisDrone txt, COCO or AI-TOD JSON, DOTA txt, YOLO txt or VOC XML. Boxes and areas are in
    pixels of the images as they are, whatever scale the network sees. A class counts neither way in images that do
    not label it exhaustively (not_exhaustive).

    Crowds and difficult objects are areas where detections of their class count neither way. Ignored regions exist in
    the protocols visdrone and visdrone-official only; for coco and aitod a detection there is false.

    P, R and F1 hold at IoU 0.5 from the threshold shown on: the highest whose F1 is within half a point (0.005) of the
    best. The JSON has the best itself as best_f1.

    \b
    nssa-gis evaluate aerial-vehicles minsk_drone/ \\
        --classes vehicle=car+minibus+bus+truck
    nssa-gis evaluate mine.safetensors VisDrone2019-DET-val/ \\
        --protocol visdrone --protocol visdrone-official --curve pr.png
    nssa-gis evaluate mine.safetensors aitod/ --protocol aitod \\
        --annotations aitodv2_test.json --images test
    """
    for path in (json_file, curve):
        _check_free(path, overwrite)
    from nssa_gis.evaluate.dataset_run import (
        detect_entries,
        only_classes,
        spread,
    )
    from nssa_gis.evaluate.protocols import score_protocol
    from nssa_gis.labels.classes import class_table, classes_not_exhaustive, truth_of, usable_entries
    from nssa_gis.labels.registry import read_table
    from nssa_gis.runtime.backends.protocol import create_backend
    from nssa_gis.runtime.package import load_package
    from nssa_gis.runtime.views import with_views

    package = load_package(model)
    table = read_table(dataset, kind, annotations, images)
    chosen = class_table(package.info.classes, table.categories, _classes(classes))
    entries = usable_entries(table, chosen)
    if not entries:
        raise NssaError(f"{dataset}: no image is left to evaluate: none labels one of the classes exhaustively")
    entries = spread(entries, limit)
    backend = with_views(create_backend(package, device, "auto", threads), tta)
    with progress(progress_mode) as show:
        show(
            {
                "event": "start",
                "scene": str(dataset),
                "backend": backend.description,
                "tiles": len(entries),
                "tiles_done": 0,
            }
        )
        found = detect_entries(
            backend,
            package.info,
            entries,
            scale,
            gsd,
            lambda done: show({"event": "tile", "done": done, "total": len(entries), "detections": 0}),
        )
    truths = [truth_of(entry, chosen, classes_not_exhaustive(entry, table.categories, chosen)) for entry in entries]
    used = [k for k in range(len(package.info.classes)) if k in chosen]
    names = [package.info.classes[k] for k in used]
    truths, found = only_classes(truths, found, used)
    scores = [score_protocol(name, truths, found, names) for name in dict.fromkeys(protocols)]
    click.echo(f"{package.info.name} {package.info.version} on {dataset}: {len(entries)} images, {backend.description}")
    for score in scores:
        click.echo(_table(score))
    if json_file:
        facts = {
            "model": package.info.name,
            "model_version": package.info.version,
            "dataset": str(dataset),
            "images": len(entries),
            "scale": scale,
            "backend": backend.description,
            "categories": {table.categories[k]: package.info.classes[c] for k, c in enumerate(chosen) if c >= 0},
            "protocols": [score.to_dict() for score in scores],
        }
        _write(json_file, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    if curve:
        from nssa_gis.pictures.plots import draw_precision_recall

        draw_precision_recall(scores[0], curve)


def _check_free(path: Path | None, overwrite: bool) -> None:
    """Refuse what could not be written in the end, before the work begins."""
    if path is None:
        return
    if path.exists() and not overwrite:
        raise NssaError(f"{path}: exists already; give another name or --overwrite")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist")


def _classes(given: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Read ``vehicle=car+truck`` options, several also between commas."""
    table = {}
    for item in (part for text in given for part in text.split(",")):
        name, sign, members = item.partition("=")
        table[name.strip()] = tuple(m.strip() for m in (members if sign else name).split("+"))
        if not all((name.strip(), *table[name.strip()])):
            raise UsageError(f"{item!r} is no class; write CLASS=CATEGORY+CATEGORY")
    return table


def _table(score: ProtocolScore) -> str:
    """Lines of figures in per cent of one protocol."""

    def cell(value: float) -> str:
        return "    -" if value != value else f"{100 * value:5.1f}"

    rows = [f"\nprotocol {score.protocol}, {score.truths} objects"]
    rows.append(
        "  " + "  ".join(f"{n} {cell(v)}" for n, v in (("AP", score.ap), ("AP50", score.ap50), ("AP75", score.ap75)))
    )
    if score.areas:
        rows.append("  " + "  ".join(f"AP {area} {cell(value)}" for area, value in score.areas.items()))
    rows.append("  " + "  ".join(f"AR{limit} {cell(value)}" for limit, value in score.recalls.items()))
    width = max(len("all together"), *(len(c.name) for c in score.classes))
    rows.append(f"  {'class'.ljust(width)}  objects     AP   AP50      P      R     F1  threshold")
    for c in score.classes:
        figures = "  ".join(map(cell, (c.ap, c.ap50, c.precision, c.recall, c.f1)))
        rows.append(f"  {c.name.ljust(width)}  {c.truths:7d}  {figures}       {c.threshold:.2f}")
    if len(score.classes) > 1:
        figures = "  ".join(map(cell, (score.ap, score.ap50, score.precision, score.recall, score.f1)))
        rows.append(f"  {'all together'.ljust(width)}  {score.truths:7d}  {figures}       {score.threshold:.2f}")
    return "\n".join(rows)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")

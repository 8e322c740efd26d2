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
    from nssa_gis.detect.detector import Detector
    from nssa_gis.evaluate.evaluation import evaluate_model
    from nssa_gis.labels.classes import parse_classes

    with Detector(model, device=device, threads=threads, tta=tta) as detector, progress(progress_mode) as show:
        found = evaluate_model(
            detector,
            dataset,
            protocols=protocols,
            classes=parse_classes(classes),
            label_format=kind,
            annotations=annotations,
            images=images,
            gsd=gsd,
            scale=scale,
            limit=limit,
            progress=show,
        )
    click.echo(found.to_text())
    if json_file:
        _write(json_file, json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
    if curve:
        from nssa_gis.pictures.plots import draw_precision_recall

        draw_precision_recall(found.protocols[0], curve)


def _check_free(path: Path | None, overwrite: bool) -> None:
    """Refuse what could not be written in the end, before the work begins."""
    if path is None:
        return
    if path.exists() and not overwrite:
        raise NssaError(f"{path}: exists already; give another name or --overwrite")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist")


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")

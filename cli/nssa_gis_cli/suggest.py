"""``nssa-gis suggest``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import atomic_write
from nssa_gis_cli.console import progress
from nssa_gis_cli.options import debug_option, progress_option


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="JSON", help="COCO JSON to write."
)
@click.option(
    "--only",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Only images whose field (in the dataset's COCO JSON) has the value; true, false or a text.",
)
@click.option(
    "--empty",
    is_flag=True,
    help="The images are known to hold no object: write what is seen as their mistakes (hard negatives).",
)
@click.option(
    "--turned",
    is_flag=True,
    help="Look in nine views turned by steps of 10 degrees, not in four mirrored ones: for long objects in rows at a "
    "slant, as on car parks, whose upright boxes overlap. Scores are then those of one view, less what speaks against "
    "the box (breadth, little elongation, a part outside): no agreement of views is asked for.",
)
@click.option(
    "--sure",
    type=click.FloatRange(0, 1),
    default=0.6,
    show_default=True,
    metavar="SCORE",
    help="Mean score of the mirrored views (with --turned: of one view) from which a box is a label.",
)
@click.option(
    "--doubt",
    type=click.FloatRange(0, 1),
    default=0.15,
    show_default=True,
    metavar="SCORE",
    help="Score from which a box is an area that teaches nothing; below, it is background.",
)
@click.option(
    "--gsd",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M/PX",
    help="Metres per pixel of images that state none.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all cores]")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@progress_option
@debug_option
def suggest(
    model: str,
    dataset: Path,
    output: Path,
    only: tuple[str, ...],
    empty: bool,
    turned: bool,
    sure: float,
    doubt: float,
    gsd: float | None,
    threads: int | None,
    overwrite: bool,
    progress_mode: str,
    debug: bool,
) -> None:
    """Let MODEL suggest labels for the images of DATASET, for self-training.

    What all four mirrored views agree on becomes a label; what is doubtful, or lies on a better label, becomes an area
    that teaches nothing (--turned decides in another way). With --empty, detections on images without objects
    become mistakes, which training shows more often. Name the file as "annotations" of a source in a recipe, or as
    "additions" to its own labels.

    \b
    nssa-gis suggest mine.safetensors ucmerced/ --only has_cars=true \\
        -o labels.json
    nssa-gis suggest mine.safetensors ucmerced/ --only has_cars=false \\
        --empty -o mistakes.json
    """
    if output.exists() and not overwrite:
        raise NssaError(f"{output}: exists already; give another name or --overwrite")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: the folder {output.parent} does not exist")
    wanted = dict(map(_field, only))
    from nssa_gis.detect.detector import Detector
    from nssa_gis.train import pseudo_labels

    with Detector(model, threads=threads) as detector, progress(progress_mode) as show:
        found = pseudo_labels.suggest_labels(
            detector,
            dataset,
            only=wanted,
            label_threshold=sure,
            ignore_threshold=doubt,
            hard_negatives=empty,
            rotated=turned,
            gsd=gsd,
            progress=show,
        )
    with atomic_write(output) as partial:
        partial.write_text(found.to_json(), encoding="utf-8")
    told = f"{found.hard_negatives} hard negatives"
    if not empty:
        told = f"{found.labels} labels, {found.ignore_regions} ignore regions"
    click.echo(f"wrote {output}: {found.images} images, {told}")


def _field(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise UsageError(f"--only {text!r}: write FIELD=VALUE")
    return name, {"true": True, "false": False}.get(value.lower(), value)

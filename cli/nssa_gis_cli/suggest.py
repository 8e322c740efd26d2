"""``nssa-gis suggest``."""

from __future__ import annotations

from typing import Any

import click

import nssa_gis
from nssa_gis.train.options import SuggestOptions
from nssa_gis_cli.console import progress
from nssa_gis_cli.options import command, output_option


@command(SuggestOptions, progress=True)
@click.argument("model", metavar="MODEL")
@click.argument("dataset")
@output_option("JSON", "COCO JSON to write.")
def suggest(model: str, dataset: str, output: str, progress_mode: str, **options: Any) -> None:
    """Write pseudo-labels for the images of DATASET with MODEL, for self-training.

    The model runs on four mirrored views of each image. A detection whose mean score reaches --label-threshold becomes
    a label. A weaker detection, or one that overlaps a better label, becomes an ignore region.

    With --hard-negatives the images hold no object: the detections become hard negatives, which training uses more
    often. Name the file as "annotations" of a source in a recipe, or as "additions" to its own labels.

    \b
    nssa-gis suggest mine.safetensors ucmerced/ --only has_cars=true \\
        -o labels.json
    nssa-gis suggest mine.safetensors ucmerced/ --only has_cars=false \\
        --hard-negatives -o negatives.json
    """
    with progress(progress_mode) as show:
        found = nssa_gis.suggest(model, dataset, output, progress=show, **options)
    text = f"{found.labels} labels, {found.ignore_regions} ignore regions"
    if options.get("hard_negatives"):
        text = f"{found.hard_negatives} hard negatives"
    click.echo(f"wrote {output}: {found.images} images, {text}")

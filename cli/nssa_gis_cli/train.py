"""``nssa-gis train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import nssa_gis
from nssa_gis.train.options import TrainOptions
from nssa_gis_cli.console import training_progress
from nssa_gis_cli.options import command, output_option
from nssa_gis_cli.tables import training_text


@command(TrainOptions, progress=True, short_help="Train a detector on labelled images.")
@click.argument("data", nargs=-1, required=True, metavar="DATA...", type=click.Path(exists=True, path_type=Path))
@output_option("OUT", "Model package to write (.safetensors).")
def train(data: tuple[Path, ...], output: str, progress_mode: str, **options: Any) -> None:
    """Train a detector on labelled images.

    \b
    nssa-gis train boats/ -o boats.safetensors --classes boat \\
        --gsd 0.3 --val-scenes harbour7 --time-budget 2h
    nssa-gis detect harbour.tif -o boats.gpkg --model boats.safetensors

    DATA is a folder of labelled images (COCO, VisDrone, DOTA, YOLO or VOC), several such folders, or one recipe
    (.toml). The images of --val-scenes are held out: they measure the accuracy and set the confidence threshold. The
    training ends after --steps or --time-budget and writes the model package. --resume continues an interrupted one.

    Recipes, networks of your own and several GPUs: docs/training.md.
    """
    with training_progress(progress_mode) as show:
        result = nssa_gis.train(data, output, progress=show, **options)
    if result is not None:  # of several processes the first one reports
        click.echo(training_text(result))

"""``nssa-gis curve``."""

from __future__ import annotations

from pathlib import Path

import click

from nssa_gis_cli.options import debug_option


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PNG picture, or CSV table; an existing one is replaced.",
)
@debug_option
def curve(runs: tuple[Path, ...], output: Path, debug: bool) -> None:
    """Draw how trainings went: loss, learning rate, and AP50 and AP of every validation over the steps.

    RUN is the run folder of a training, or its log.jsonl; a training may be under way. Of one run the accuracy of
    every source is shown, of several the one over all images.

    \b
    nssa-gis curve runs/vehicles -o vehicles.png
    nssa-gis curve runs/small runs/large -o compared.png
    nssa-gis curve runs/vehicles -o vehicles.csv
    """
    from nssa_gis.train.curve import read_curves, write_curves

    write_curves(read_curves(runs), output)
    click.echo(output)

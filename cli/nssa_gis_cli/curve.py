"""``nssa-gis curve``."""

from __future__ import annotations

from pathlib import Path

import click

from nssa_gis_cli.options import command, output_option


@command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True, path_type=Path))
@output_option("OUT", "PNG picture, or CSV table; an existing one is replaced.")
def curve(runs: tuple[Path, ...], output: str) -> None:
    """Draw how trainings went: loss, learning rate, and AP50 and AP of every validation over the steps.

    RUN is the run folder of a training, or its log.jsonl; the training may still be running. For one run the accuracy
    of every source is shown; for several runs, the accuracy over all images.

    \b
    nssa-gis curve runs/vehicles -o vehicles.png
    nssa-gis curve runs/small runs/large -o compared.png
    nssa-gis curve runs/vehicles -o vehicles.csv
    """
    from nssa_gis.pictures.curve import Curve, write_curves
    from nssa_gis.train.log import read_runs

    write_curves([Curve.of(run.name, run.events, run.path) for run in read_runs(runs)], Path(output))
    click.echo(output)

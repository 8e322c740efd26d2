"""``nssa-gis info``."""

from __future__ import annotations

import json
from typing import Any

import click

from nssa_gis.errors import UsageError
from nssa_gis_cli.options import command, json_option
from nssa_gis_cli.tables import cost_table, lines


@command()
@click.argument("what", metavar="[SCENE|MODEL]", required=False)
@click.option(
    "--model-config",
    metavar="NAME|FILE",
    help="Count parameters and multiply-adds of a network: nssa-n, -s, -m or -paper, each also with -plain, or a "
    ".toml file as train --size takes it.",
)
@click.option(
    "--input-size",
    type=click.IntRange(min=64),
    default=640,
    show_default=True,
    metavar="PX",
    help="Side of the image that --model-config counts for, a multiple of 64. [px]",
)
@json_option
def info(what: str | None, model_config: str | None, input_size: int, as_json: bool) -> None:
    """Describe a scene (size, place, ground sample distance, bands), a model (classes, GSD, metrics) or a network.

    \b
    nssa-gis info scene.tif
    nssa-gis info --model-config nssa-s
    """
    if (what is None) == (model_config is None):
        raise UsageError("give either SCENE|MODEL or --model-config NAME")
    from nssa_gis.detect.description import describe, describe_network

    if what is not None:
        facts: dict[str, Any] = describe(what)
        text = lines({name: value for name, value in facts.items() if name != "network"})
    else:
        facts = describe_network(model_config or "", input_size)
        text = cost_table(facts)
    click.echo(json.dumps(facts, indent=2, default=str) if as_json else text)

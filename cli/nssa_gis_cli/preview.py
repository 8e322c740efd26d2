"""``nssa-gis preview``."""

from __future__ import annotations

from typing import Any

import click

import nssa_gis
from nssa_gis.pictures.options import PreviewOptions
from nssa_gis_cli.options import command, output_option


@command(PreviewOptions)
@click.argument("scene")
@click.argument("layer")
@output_option("PNG", "PNG to write; an existing one is replaced.")
def preview(scene: str, layer: str, output: str, **options: Any) -> None:
    """Draw SCENE with the objects of LAYER as a PNG picture.

    \b
    nssa-gis preview scene.tif cars.gpkg -o cars.png
    """
    nssa_gis.preview(scene, layer, output, **options)
    click.echo(output)

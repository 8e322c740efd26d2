"""``nssa-gis preview``."""

from __future__ import annotations

import click

from nssa_gis_cli.options import debug_option


@click.command()
@click.argument("scene")
@click.argument("layer")
@click.option("-o", "--output", required=True, metavar="PNG", help="PNG to write; an existing one is replaced.")
@click.option(
    "--size",
    type=click.IntRange(200, 8000),
    default=1600,
    show_default=True,
    help="Longest side of the overview. [px]",
)
@click.option("--details", type=click.IntRange(0, 8), default=3, show_default=True, help="Number of enlarged places.")
@debug_option
def preview(scene: str, layer: str, output: str, size: int, details: int, debug: bool) -> None:
    """Draw SCENE with the objects of LAYER as a PNG picture.

    \b
    nssa-gis preview scene.tif cars.gpkg -o cars.png
    """
    from nssa_gis.pictures.preview import draw_preview

    draw_preview(scene, layer, output, max_side=size, details=details)
    click.echo(output)

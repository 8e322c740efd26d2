"""``nssa-gis detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import nssa_gis
from nssa_gis.detect.options import DetectOptions, DetectorOptions
from nssa_gis_cli.console import Interrupted, progress
from nssa_gis_cli.options import command, output_option
from nssa_gis_cli.tables import objects_text


@command(DetectorOptions, DetectOptions, progress=True)
@click.argument("scene")
@output_option("OUT", "Layer to write; the extension chooses the format.")
def detect(scene: str, output: str, progress_mode: str, **options: Any) -> None:
    """Find objects in SCENE and write them as a vector layer.

    SCENE is any image that GDAL reads, also an http(s) address or a /vsi path. The scene is resampled to the ground
    sample distance of the model and processed in tiles. The layer appears when it is complete.

    \b
    nssa-gis detect scene.tif -o cars.gpkg
    nssa-gis detect scene.tif -o cars.geojson --classes vehicle --confidence 0.5
    nssa-gis detect scene.tif -o cars.gpkg --aoi town.gpkg:centre
    """
    from nssa_gis.detect.journal import journal_path

    try:
        with progress(progress_mode) as show:
            result = nssa_gis.detect(scene, output, progress=show, **options)
    except KeyboardInterrupt:
        kept = journal_path(Path(output)).exists()
        hint = "finished tile rows are kept, go on with --resume" if kept else "nothing was finished"
        raise Interrupted(f"interrupted: {output}; {hint}") from None
    click.echo(f"{output}: {objects_text(result.objects, result.classes)} in {result.seconds:.1f} s")

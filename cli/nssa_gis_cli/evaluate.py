"""``nssa-gis evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

import nssa_gis
from nssa_gis.evaluate.options import EvaluateOptions
from nssa_gis.files import atomic_write, check_free
from nssa_gis_cli.console import progress
from nssa_gis_cli.options import ReportOptions, command


@command(EvaluateOptions, ReportOptions, progress=True)
@click.argument("model", metavar="MODEL")
@click.argument("dataset")
def evaluate(model: str, dataset: str, progress_mode: str, overwrite: bool = False, **options: Any) -> None:
    """Measure the accuracy of MODEL on a labelled DATASET.

    DATASET is a folder of VisDrone txt, COCO or AI-TOD JSON, DOTA txt, YOLO txt or VOC XML. Boxes and areas are in
    pixels of the images as they are, whatever resolution the network sees. A class is ignored in images that do not
    label it exhaustively (not_exhaustive).

    Crowds and difficult objects are ignore regions for detections of their class. Regions that are ignored for all
    classes exist in the protocols visdrone and visdrone-official only; in coco and aitod a detection there is false.

    P, R and F1 are given at IoU 0.5 and at the threshold that is shown: the highest threshold with an F1 within half a
    point (0.005) of the best. The last line gives them at the default confidence threshold of the model, which detect
    uses. The JSON also holds the best F1 as best_f1.

    \b
    nssa-gis evaluate aerial-vehicles minsk_drone/ \\
        --classes vehicle=car+minibus+bus+truck
    nssa-gis evaluate mine.safetensors VisDrone2019-DET-val/ \\
        --protocol visdrone --protocol visdrone-official --curve pr.png
    nssa-gis evaluate mine.safetensors aitod/ --protocol aitod \\
        --annotations aitodv2_test.json --images test
    """
    json_file, curve = (options.pop(name, None) for name in ("json_file", "curve"))
    for path in (json_file, curve):
        if path:
            check_free(Path(path), overwrite)
    with progress(progress_mode) as show:
        found = nssa_gis.evaluate(model, dataset, progress=show, **options)
    click.echo(found.to_text())
    if json_file:
        with atomic_write(json_file) as partial:
            partial.write_text(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if curve:
        from nssa_gis.pictures.plots import draw_precision_recall

        draw_precision_recall(found.protocols[0], Path(curve))

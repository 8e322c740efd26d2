"""``nssa-gis info``."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from typing import TYPE_CHECKING, Any

import click

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import masked
from nssa_gis_cli.options import debug_option, json_option

if TYPE_CHECKING:
    from nssa_gis.raster.scene import Scene


@click.command()
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
    help="Side of the image that --model-config counts for, a multiple of 64.",
)
@json_option
@debug_option
def info(what: str | None, model_config: str | None, input_size: int, as_json: bool, debug: bool) -> None:
    """Describe a scene (size, place, ground sample distance, bands), a model (classes, GSD, metrics) or a network.

    \b
    nssa-gis info scene.tif
    nssa-gis info --model-config nssa-s
    """
    if (what is None) == (model_config is None):
        raise UsageError("give either SCENE|MODEL or --model-config NAME")
    if model_config is not None:
        click.echo(_costs(model_config, input_size, as_json))
        return
    assert what is not None
    from nssa_gis.runtime.package import built_in_models, load_package

    if what.lower().endswith(".safetensors") or what in built_in_models():
        package = load_package(what)
        facts = {"path": str(package.path), **package.info.model_dump(exclude_none=True), "sha256": package.digest}
        hidden = {"network"}
    else:
        from nssa_gis.raster.scene import open_scene

        if not os.path.exists(what) and re.fullmatch(r"[\w-]+", what):
            known = ", ".join(built_in_models()) or "none"
            raise NssaError(f"{what}: neither a file nor a built-in model; built in: {known}")
        with open_scene(what) as scene:
            facts, hidden = describe(scene), set()
    if as_json:
        click.echo(json.dumps(facts, indent=2, default=str))
    else:
        click.echo(lines({name: value for name, value in facts.items() if name not in hidden}))


def _costs(name: str, side: int, as_json: bool) -> str:
    """Give the table of a network's parts."""
    from nssa_gis.model.config import PAD_MULTIPLE, load_config
    from nssa_gis.model.cost import cost_of, total

    if side % PAD_MULTIPLE:
        raise UsageError(f"--input-size {side}: must be a multiple of {PAD_MULTIPLE}")
    try:
        config = load_config(name, 1)
    except ValueError as error:
        raise UsageError(str(error)) from None
    costs = cost_of(config, side)
    whole = total(costs)
    if as_json:
        parts = [dataclasses.asdict(c) for c in costs]
        facts = {
            "network": config.name,
            "input_size": side,
            "classes": 1,
            "parts": parts,
            "total": dataclasses.asdict(whole),
        }
        return json.dumps(facts, indent=2)
    rows = [f"{config.name}, 1 class, counted on an image of {side} x {side} px"]
    rows.append(f"  {'part':32s}  {'stride':>6s}  {'parameters':>10s}  {'GMAC':>8s}")
    rows += [f"  {c.part:32s}  {c.stride:>6s}  {c.parameters:10,d}  {c.gmacs:8.3f}" for c in [*costs, whole]]
    return "\n".join(rows)


def describe(scene: Scene) -> dict[str, Any]:
    """Collect what there is to say of a scene, as JSON values."""
    frame = scene.frame
    crs = frame.crs
    corners = frame.box_corners([[0, 0, frame.width, frame.height]])[0]
    placed_by = "transform" if frame.transform else "control points" if frame.gcps else "RPC" if frame.rpcs else None
    return {
        "path": masked(str(scene.path)),
        "width": frame.width,
        "height": frame.height,
        "megapixels": round(frame.width * frame.height / 1e6, 3),
        "bands": scene.count,
        "dtype": str(scene.dtype),
        "colours": list(scene.color_interp),
        "nodata": None if scene.nodata is None else str(scene.nodata),
        "masked": scene.masked,
        "block": list(scene.block),
        "overviews": list(scene.overview_factors),
        "crs": None if crs is None else (":".join(crs.to_authority() or ()) or crs.name),
        "crs_name": None if crs is None else crs.name,
        "placed_by": placed_by,
        "gsd_m": None if frame.gsd is None else [round(value, 6) for value in frame.gsd],
        "corners": [[float(x), float(y)] for x, y in corners],
    }


def lines(facts: dict[str, Any]) -> str:
    """One line a fact, aligned; what has parts gets a line a part below it, indented."""
    width = max(map(len, facts), default=0)
    rows = []
    for name, value in facts.items():
        parts = isinstance(value, dict) and bool(value)
        rows.append(f"  {name.ljust(width)}  {'' if parts else _text(value)}".rstrip())
        if parts:
            rows.append("\n".join("  " + row for row in lines(value).splitlines()))
    return "\n".join(rows)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{k} {_text(v)}" for k, v in value.items()) or "none"
    return f"{value:.10g}" if isinstance(value, float) else str(value)

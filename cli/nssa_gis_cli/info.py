"""``nssa-gis info``."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from typing import TYPE_CHECKING, Any

import click

from nssa_gis.errors import NssaError
from nssa_gis_cli.options import debug_option, json_option

if TYPE_CHECKING:
    from nssa_gis.raster.scene import Scene


@click.command()
@click.argument("what", metavar="SCENE|MODEL")
@json_option
@debug_option
def info(what: str, as_json: bool, debug: bool) -> None:
    """Describe a scene (size, place, ground sample distance, bands) or a model (classes, GSD, metrics)."""
    from nssa_gis.runtime.package import built_in_models, load_package

    if what.lower().endswith(".safetensors") or what in built_in_models():
        package = load_package(what)
        facts = {"path": str(package.path), **dataclasses.asdict(package.info), "sha256": package.digest}
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


def describe(scene: Scene) -> dict[str, Any]:
    """Collect what there is to say of a scene, as JSON values."""
    frame = scene.frame
    crs = frame.crs
    corners = frame.box_corners([[0, 0, frame.width, frame.height]])[0]
    placed_by = "transform" if frame.transform else "control points" if frame.gcps else "RPC" if frame.rpcs else None
    return {
        "path": scene.path,
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

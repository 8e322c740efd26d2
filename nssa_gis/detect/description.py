"""What there is to say of a scene, a model or a network, as JSON values."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from typing import Any

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import masked
from nssa_gis.model.config import PAD_MULTIPLE, load_config
from nssa_gis.raster.scene import Scene, open_scene
from nssa_gis.runtime.package import built_in_models, load_package


def describe(what: str) -> dict[str, Any]:
    """Describe a scene or a model.

    Parameters
    ----------
    what : str
        Name of a built-in model, a ``.safetensors`` file, or anything that GDAL reads.

    Raises
    ------
    NssaError
        It cannot be read.
    """
    if what.lower().endswith(".safetensors") or what in built_in_models():
        package = load_package(what)
        return {"path": str(package.path), **package.info.model_dump(exclude_none=True), "sha256": package.digest}
    if not os.path.exists(what) and re.fullmatch(r"[\w-]+", what):
        known = ", ".join(built_in_models()) or "none"
        raise NssaError(f"{what}: neither a file nor a built-in model; built in: {known}")
    with open_scene(what) as scene:
        return describe_scene(scene)


def describe_scene(scene: Scene) -> dict[str, Any]:
    """Describe an open scene: size in pixels, bands, CRS, GSD in metres, corners in the CRS."""
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
        "notes": [masked(note) for note in scene.notes],
    }


def describe_network(name: str, side: int) -> dict[str, Any]:
    """Count the parameters and multiply-adds of a network of one class, part by part.

    Parameters
    ----------
    name : str
        As :func:`nssa_gis.model.config.load_config` takes it.
    side : int
        Side of the image, pixels, a multiple of 64.

    Raises
    ------
    UsageError
        There is no such network, or the side does not fit.
    """
    from nssa_gis.model.cost import cost_of, total  # imports torch

    if side % PAD_MULTIPLE:
        raise UsageError(f"--input-size {side}: must be a multiple of {PAD_MULTIPLE}")
    try:
        config = load_config(name, 1)
    except ValueError as error:
        raise UsageError(str(error)) from None
    costs = cost_of(config, side)
    parts = [asdict(part) for part in costs]
    return {"network": config.name, "input_size": side, "classes": 1, "parts": parts, "total": asdict(total(costs))}

"""Objects of a layer, placed on the pixels of a scene by their geometry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from nssa_gis.errors import NssaError
from nssa_gis.geo.crs import transformer
from nssa_gis.geo.frame import Frame
from nssa_gis.raster.scene import Scene
from nssa_gis.vector.reader import read_layer

#: Fields that are used where they exist; ``w_px`` and ``h_px`` give a point its size.
_FIELDS = ["class", "class_id", "scene", "w_px", "h_px"]
#: Class number and name of objects without a class.
NO_CLASS, _NO_CLASS_NAME = -1, "no class"
#: A polygon that fills this share of its envelope is drawn as the envelope.
_FILLED = 0.999


@dataclass(frozen=True)
class Objects:
    """Objects that lie on a scene, at least in part.

    Attributes
    ----------
    shapes : ndarray of shapely geometries, shape (N,)
        In pixels of the scene (edges).
    boxes : ndarray of float64, shape (N, 4)
        Envelopes ``x0, y0, x1, y1`` in pixels of the scene.
    upright : ndarray of bool, shape (N,)
        The shape is its envelope.
    class_id : ndarray of int64, shape (N,)
        Class numbers; `NO_CLASS` where the layer gives none.
    names : dict of int to str
        Class names by number.
    elsewhere : int
        Objects of the layer that do not lie on the scene.
    """

    shapes: NDArray[np.object_]
    boxes: NDArray[np.float64]
    upright: NDArray[np.bool_]
    class_id: NDArray[np.int64]
    names: dict[int, str]
    elsewhere: int

    def __len__(self) -> int:
        return len(self.shapes)

    def outline(self, number: int) -> list[NDArray[np.float64]]:
        """Return the closed rings (K, 2) of one shape, in pixels of the scene."""
        return [shapely.get_coordinates(ring) for ring in shapely.get_rings(self.shapes[number])]


def read_objects(path: str | os.PathLike[str], scene: Scene) -> Objects:
    """Read a layer and place its objects on a scene.

    The geometry counts, in any CRS; the pixel fields do not, because a layer may have been edited. A layer without a
    CRS, or one for a scene without a CRS, is taken to be in the map coordinates of the scene. Rows that name another
    scene are left out; if all rows do, the image was renamed, and all of them count.

    Parameters
    ----------
    path : path
        A layer of any format that ``detect`` writes, with a field ``class``. Empty fields are allowed.
    scene : Scene

    Returns
    -------
    Objects

    Raises
    ------
    NssaError
        The layer cannot be read, has no field ``class`` or no geometry, or none of its objects lies on the scene.
    """
    layer = read_layer(path, _FIELDS)
    crs = layer.crs
    if "class" not in layer.columns:
        raise NssaError(f"{path}: it lacks the field class; give a layer that detect wrote")
    mine = _of_scene(layer.columns.get("scene"), scene.name, len(layer))
    fields = {name: values[mine] for name, values in layer.columns.items()}
    shapes = _sized(_to_pixels(layer.shapes[mine], crs, scene.frame, path), fields)
    boxes = shapely.bounds(shapes)
    with np.errstate(invalid="ignore"):
        on = (boxes[:, :2] < [scene.frame.width, scene.frame.height]).all(1) & (boxes[:, 2:] > 0).all(1)
    if len(on) and not on.any():
        told = f"{len(on)} object{'s' if len(on) > 1 else ''} {'without a CRS' if crs is None else f'in {crs.name}'}"
        raise NssaError(
            f"{path}: none of its objects lies on the scene {scene.path} ({told}); give the layer of this scene"
        )
    class_id, names = _classes(fields["class"], fields.get("class_id"))
    shapes, boxes, class_id = shapes[on], boxes[on], class_id[on]
    upright = shapely.area(shapes) >= _FILLED * np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return Objects(shapes, boxes, upright, class_id, names, int((~on).sum()))


def _of_scene(named: NDArray[Any] | None, scene: str, count: int) -> NDArray[np.bool_]:
    if named is None or not (named == scene).any():
        return np.ones(count, np.bool_)
    return np.array([name in (scene, None, "") for name in named], np.bool_)


def _to_pixels(
    shapes: NDArray[np.object_], crs: pyproj.CRS | None, frame: Frame, path: str | os.PathLike[str]
) -> NDArray[np.object_]:
    """Geometries on the map to pixels of the scene; not a number where there is no place."""
    x, y = shapely.get_coordinates(shapes).T
    if crs is not None and frame.crs is not None and not crs.equals(frame.crs, ignore_axis_order=True):
        try:
            x, y = transformer(crs, frame.crs).transform(x, y)
        except NssaError as error:
            raise NssaError(f"{path}: {error}") from error
    if not frame.placed:
        y = -y  # the layer of a plain image has its rows downwards from y = 0
    elif frame.x_period is not None:  # across the antimeridian both sides are meant
        centre = frame.to_map(frame.width / 2, frame.height / 2)[0]
        x = x - frame.x_period * np.round((x - centre) / frame.x_period)
    x, y = frame.to_pixel(x, y)
    placed = np.where(np.isfinite(x) & np.isfinite(y), [x, y], np.nan).T
    return np.asarray(shapely.set_coordinates(shapes.copy(), placed))


def _sized(shapes: NDArray[np.object_], fields: dict[str, NDArray[Any]]) -> NDArray[np.object_]:
    """Give points the box of their fields ``w_px`` and ``h_px``."""
    points = (shapely.get_type_id(shapes) == shapely.GeometryType.POINT) & ~shapely.is_empty(shapes)
    if {"w_px", "h_px"} <= fields.keys():
        x, y = shapely.get_coordinates(shapes[points]).T
        w, h = (np.nan_to_num(fields[name][points].astype(np.float64)) / 2 for name in ("w_px", "h_px"))
        shapes[points] = shapely.box(x - w, y - h, x + w, y + h)
    return shapes


def _classes(names: NDArray[Any], numbers: NDArray[Any] | None) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Class numbers (N,) and names by number, from fields that may be empty or lack the numbers."""
    texts = np.array(["" if name is None else str(name) for name in names], object)
    given = np.full(len(texts), np.nan) if numbers is None else numbers.astype(np.float64)
    has = np.isfinite(given)
    class_id = np.where(has, given, NO_CLASS).astype(np.int64)
    both, lone = has & (texts != ""), ~has & (texts != "")
    found, first = np.unique(texts[both], return_index=True)
    number_of = dict(zip(found.tolist(), class_id[both][first].tolist(), strict=True))
    new = sorted(set(texts[lone]) - number_of.keys())
    number_of |= {text: number for number, text in enumerate(new, int(class_id.max(initial=NO_CLASS)) + 1)}
    class_id[lone] = [number_of[text] for text in texts[lone]]
    by_number = {n: f"class {n}" for n in np.unique(class_id).tolist()} | {n: text for text, n in number_of.items()}
    found, first = np.unique(class_id[both], return_index=True)
    by_number |= dict(zip(found.tolist(), texts[both][first].tolist(), strict=True))
    return class_id, by_number | {NO_CLASS: _NO_CLASS_NAME}

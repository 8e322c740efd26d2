"""The output layer: its fields, and detections turned into its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError

if TYPE_CHECKING:
    from pyproj import CRS

    from nssa_gis.geo.frame import Frame

GeometryKind = Literal["polygon", "point"]


@dataclass(frozen=True)
class Field:
    """One attribute of the output layer.

    Attributes
    ----------
    name : str
        Field name in every format; a Shapefile cuts it to 10 characters (``short``).
    dtype : str
        numpy type of the column; ``"object"`` for text.
    alias : str
        Label in the QGIS attribute table.
    help : str
        What it means, with the unit.
    decimals : int or None
        Decimals kept in the layer and shown in QGIS; None for whole numbers and text.
    """

    name: str
    dtype: str
    alias: str
    help: str
    decimals: int | None = None

    @property
    def short(self) -> str:
        """Name of the field in a Shapefile."""
        return self.name[:10]


#: The attributes of every output layer, in this order.
FIELDS: tuple[Field, ...] = (
    Field("id", "int64", "ID", "Number of the object in the layer, from 1."),
    Field("class", "object", "Class", "Name of the class."),
    Field("class_id", "int32", "Class number", "Place of the class in the model's class list, from 0."),
    Field("score", "float64", "Confidence", "Confidence of the model, 0 to 1.", 4),
    Field("width_m", "float64", "Width (m)", "Ground size of the box along image x, metres.", 3),
    Field("height_m", "float64", "Height (m)", "Ground size of the box along image y, metres.", 3),
    Field("length_m", "float64", "Length (m)", "The longer of width_m and height_m, metres.", 3),
    Field("area_m2", "float64", "Area (m²)", "Ground area of the box, square metres.", 3),
    Field("x_px", "float64", "Image x (px)", "Left edge of the box, pixels from the scene's left edge.", 3),
    Field("y_px", "float64", "Image y (px)", "Top edge of the box, pixels from the scene's top edge.", 3),
    Field("w_px", "float64", "Image width (px)", "Width of the box, pixels.", 3),
    Field("h_px", "float64", "Image height (px)", "Height of the box, pixels.", 3),
    Field("scene", "object", "Scene", "Name of the image file without its extension."),
    Field("model", "object", "Model", "Name of the model package."),
    Field("model_version", "object", "Model version", "Version of the model package."),
)


@dataclass(frozen=True)
class LayerInfo:
    """What is the same for all rows of a layer.

    Attributes
    ----------
    scene, model, model_version : str
        Values of the fields of these names.
    classes : tuple of str
        The model's class list; ``Detections.labels`` index it.
    crs : pyproj.CRS or None
        The system of the coordinates that `records` gives: the scene's. None: image pixels.
    geometry : {"polygon", "point"}
        The box as a polygon, or its centre.
    metadata : mapping of str to str
        Written into the container where the format has a place for it.
    """

    scene: str
    model: str
    model_version: str
    classes: tuple[str, ...]
    crs: CRS | None = None
    geometry: GeometryKind = "polygon"
    metadata: Mapping[str, str] = field(default_factory=dict)

    def all_metadata(self) -> dict[str, str]:
        """Scene, model and classes together with `metadata`."""
        own = {
            "scene": self.scene,
            "model": self.model,
            "model_version": self.model_version,
            "classes": ", ".join(self.classes),
        }
        return {**own, **{str(k): str(v) for k, v in self.metadata.items()}}


@dataclass(frozen=True)
class Chunk:
    """N rows of the output layer as columns.

    Attributes
    ----------
    coords : ndarray of float64, shape (N, 4, 2) or (N, 1, 2)
        Map coordinates x, y: the four corners of a polygon, counterclockwise and not closed, starting at the
        corner that is top left in the image; or one point.
    columns : dict of str to ndarray, each of shape (N,)
        One column per entry of `FIELDS`; unknown numbers are NaN.
    """

    coords: NDArray[np.float64]
    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.coords)

    @classmethod
    def concat(cls, parts: list[Chunk]) -> Chunk:
        """All parts one after another; at least one, all of the same geometry."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([p.coords for p in parts]),
            {f.name: np.concatenate([p.columns[f.name] for p in parts]) for f in FIELDS},
        )

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Chunk:
        """Select rows by a mask, an index array or a slice."""
        return Chunk(self.coords[index], {name: column[index] for name, column in self.columns.items()})

    def wkb(self) -> NDArray[np.object_]:
        """Geometries as little-endian WKB, shape (N,), each a ``bytes``."""
        n, corners = self.coords.shape[:2]
        if corners == 1:
            layout = np.dtype([("order", "u1"), ("type", "<u4"), ("xy", "<f8", (1, 2))])
            rows = np.empty(n, layout)
            rows["type"] = 1
            rows["xy"] = self.coords
        else:
            layout = np.dtype([("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("n", "<u4"), ("xy", "<f8", (5, 2))])
            rows = np.empty(n, layout)
            rows["type"], rows["rings"], rows["n"] = 3, 1, 5
            rows["xy"][:, :4] = self.coords
            rows["xy"][:, 4] = self.coords[:, 0]
        rows["order"] = 1
        data, size = rows.tobytes(), layout.itemsize
        out = np.empty(n, object)
        # A loop of slices, 0.1 s per million: numpy's own bytes type would drop trailing zeros.
        out[:] = [data[i : i + size] for i in range(0, n * size, size)]
        return out


def empty_chunk(info: LayerInfo) -> Chunk:
    """No rows, all columns: gives an empty layer its fields."""
    corners = 1 if info.geometry == "point" else 4
    return Chunk(np.empty((0, corners, 2)), {f.name: np.empty(0, f.dtype) for f in FIELDS})


def records(detections: SceneDetections, frame: Frame, info: LayerInfo, first_id: int = 1) -> Chunk:
    """Turn detections into rows of the output layer.

    A scene without georeference has no map, so its layer is in image pixels with y turned upwards (row 10 is
    y = -10): this is where QGIS and GDAL-based programs draw such an image, and the boxes lie on it.

    Parameters
    ----------
    detections : SceneDetections
        Boxes in pixels of the scene (pixel edges).
    frame : Frame
        Pixel-to-map conversion of the scene.
    info : LayerInfo
        What all rows share; ``info.crs`` is the CRS of `frame`.
    first_id : int
        ``id`` of the first row; the others follow.

    Returns
    -------
    Chunk
        Rows in the order of `detections`, coordinates in the CRS of `frame`.

    Raises
    ------
    NssaError
        A label is not in the class list, or a corner has no finite map coordinates.
    """
    n = len(detections)
    boxes = detections.boxes
    labels = detections.labels.astype(np.int32)
    if n and (labels.min() < 0 or labels.max() >= len(info.classes)):
        raise NssaError(
            f"model {info.model}: gave class {int(labels.max())} but lists {len(info.classes)} classes; "
            "the package is damaged, install it again"
        )
    coords = _coords(boxes, frame, info.geometry)
    if not np.isfinite(coords).all():
        raise NssaError(
            f"{info.scene}: the georeference gives no finite coordinates for some objects; "
            "check the image's transform with gdalinfo"
        )
    width, height, area = frame.box_sizes_m(boxes)
    values: dict[str, NDArray[Any]] = {
        "id": np.arange(first_id, first_id + n, dtype=np.int64),
        "class": np.array(info.classes, object)[labels] if n else np.empty(0, object),
        "class_id": labels,
        "score": detections.scores,
        "width_m": width,
        "height_m": height,
        "length_m": np.maximum(width, height),
        "area_m2": area,
        "x_px": boxes[:, 0],
        "y_px": boxes[:, 1],
        "w_px": boxes[:, 2] - boxes[:, 0],
        "h_px": boxes[:, 3] - boxes[:, 1],
        "scene": np.full(n, info.scene, object),
        "model": np.full(n, info.model, object),
        "model_version": np.full(n, info.model_version, object),
    }
    return Chunk(coords, {f.name: _column(values[f.name], f) for f in FIELDS})


def _column(values: NDArray[Any], spec: Field) -> NDArray[Any]:
    typed = np.asarray(values, spec.dtype)
    return typed if spec.decimals is None else np.round(typed, spec.decimals)


def _coords(boxes: NDArray[np.float64], frame: Frame, geometry: GeometryKind) -> NDArray[np.float64]:
    if geometry == "point":
        x, y = frame.to_map((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
        coords = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    else:
        coords = np.array(frame.box_corners(boxes), np.float64).reshape(-1, 4, 2)
    if frame.transform is None and not frame.gcps and frame.rpcs is None:
        coords[..., 1] *= -1  # a world file without a CRS is a place, too: only bare pixels are turned
    return counterclockwise(coords)


def counterclockwise(coords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rings turned counterclockwise where they are not, keeping the first corner; points as they are.

    Parameters
    ----------
    coords : ndarray of float64, shape (N, K, 2)
        K = 4 corners of a convex ring, not closed, or K = 1.
    """
    if coords.shape[1] == 1:
        return coords
    diagonal, other = coords[:, 2] - coords[:, 0], coords[:, 3] - coords[:, 1]
    clockwise = diagonal[:, 0] * other[:, 1] - diagonal[:, 1] * other[:, 0] < 0
    turned = np.where(clockwise[:, None, None], coords[:, [0, 3, 2, 1]], coords)
    return np.asarray(turned)

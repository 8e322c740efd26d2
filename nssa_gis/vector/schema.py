"""The output layer: its fields, and detections turned into its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError
from nssa_gis.vector.wkb import to_wkb

if TYPE_CHECKING:
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
        Arrow type of the column.
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
    Field("class", "string", "Class", "Name of the class."),
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
    Field("scene", "string", "Scene", "Name of the image file without its extension."),
    Field("model", "string", "Model", "Name of the model package."),
    Field("model_version", "string", "Model version", "Version of the model package."),
)


#: Name of the geometry column of the records; GDAL's drivers give it their own name.
GEOMETRY = "geometry"

#: The columns of :func:`records`: all fields but ``id``, which the writer fills in, and the geometry as WKB.
RECORDS = pa.schema([*((f.name, f.dtype) for f in FIELDS if f.name != "id"), (GEOMETRY, pa.binary())])


@dataclass(frozen=True)
class LayerInfo:
    """What is the same for all rows of a layer.

    Attributes
    ----------
    scene, model, model_version : str
        Values of the fields of these names.
    classes : tuple of str
        The model's class list; ``SceneDetections.labels`` index it.
    geometry : {"polygon", "point"}
        The box as a polygon, or its centre.
    metadata : mapping of str to str
        Written into the container where the format has a place for it.
    """

    scene: str
    model: str
    model_version: str
    classes: tuple[str, ...]
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


def records(detections: SceneDetections, frame: Frame, info: LayerInfo) -> pa.RecordBatch:
    """Turn detections into records of the output layer.

    A scene without georeference has no map, so its layer is in image pixels with y upwards (row 10 is
    y = -10): this is where QGIS and GDAL-based programs draw such an image, and the boxes lie on it.

    Parameters
    ----------
    detections : SceneDetections
        N boxes in pixels of the scene (pixel edges).
    frame : Frame
        Pixel-to-map conversion of the scene.
    info : LayerInfo
        What all records share.

    Returns
    -------
    pyarrow.RecordBatch
        N rows in the order of `detections` with the columns of `RECORDS`. Geometries are WKB in the CRS of `frame`:
        counterclockwise polygons that begin at the corner that is top left in the image, or points. Unknown numbers
        are null.

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
    values: dict[str, Any] = {
        "class": pa.DictionaryArray.from_arrays(labels, pa.array(info.classes, pa.string())).dictionary_decode(),
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
        "scene": pa.repeat(info.scene, n),
        "model": pa.repeat(info.model, n),
        "model_version": pa.repeat(info.model_version, n),
    }
    columns = [_column(values[f.name], f) for f in FIELDS if f.name != "id"]
    return pa.record_batch([*columns, to_wkb(coords)], schema=RECORDS)


def _column(values: Any, spec: Field) -> pa.Array:
    if spec.decimals is not None:
        values = np.round(np.asarray(values, np.float64), spec.decimals)
    return values if isinstance(values, pa.Array) else pa.array(values, spec.dtype, from_pandas=True)  # NaN to null


def _coords(boxes: NDArray[np.float64], frame: Frame, geometry: GeometryKind) -> NDArray[np.float64]:
    if geometry == "point":
        x, y = frame.to_map((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
        coords = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    else:
        coords = np.array(frame.box_corners(boxes), np.float64).reshape(-1, 4, 2)
    if not frame.placed:
        coords[..., 1] *= -1  # coordinates of a world file are kept; only the y of plain pixels is reversed
    return counterclockwise(coords)


def counterclockwise(coords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make all rings counterclockwise, keeping the first corner; points are unchanged.

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

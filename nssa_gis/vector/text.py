"""Text formats: GeoJSON and CSV, written row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from nssa_gis.vector.schema import FIELDS, Chunk, LayerInfo

# 1e-9 of a degree is 0.1 mm; RFC 7946 section 11.2 asks not to write more than is meant.
_DEGREE_DECIMALS = 9
_MAP_DECIMALS = 4


class GeoJsonSink:
    """GeoJSON by RFC 7946: longitude and latitude on WGS 84, cut at the antimeridian, counterclockwise.

    The run's metadata is the top-level member ``nssa_gis``. A scene without CRS gives image pixels, y
    upwards, which the RFC does not foresee; the member then says so.

    Parameters are those of `nssa_gis.vector.sinks.GpkgSink`; ``info.crs`` is WGS 84 or None.
    """

    suffix = ".geojson"

    def __init__(self, folder: Path, layer: str, info: LayerInfo) -> None:
        self.target = folder / f"{layer}{self.suffix}"
        self._degrees = info.crs is not None
        metadata = info.all_metadata()
        if not self._degrees:
            metadata["coordinates"] = "image pixels, y upwards (row 10 is y = -10): the scene has no CRS"
        self._file = self.target.open("w", encoding="utf-8", newline="\n")
        head = {"type": "FeatureCollection", "name": layer, "nssa_gis": metadata}
        self._file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [')
        self._separator = "\n"

    def append(self, chunk: Chunk) -> None:
        """Add features."""
        shapes = self._geometries(chunk.coords)
        names = [json.dumps(f.name) + ": " for f in FIELDS]
        columns = [_json_column(chunk.columns[f.name]) for f in FIELDS]
        for shape, *values in zip(shapes, *columns, strict=True):
            properties = ", ".join(map(str.__add__, names, values))
            self._file.write(
                f'{self._separator}{{"type": "Feature", "properties": {{{properties}}}, "geometry": {shape}}}'
            )
            self._separator = ",\n"

    def finish(self, found: Sequence[int]) -> list[Path]:
        """Close the collection."""
        self._file.write("\n]}\n")
        self._file.close()
        return [self.target]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _geometries(self, coords: NDArray[np.float64]) -> Iterator[str]:
        decimals = _DEGREE_DECIMALS if self._degrees else _MAP_DECIMALS
        across = np.zeros(len(coords), bool)
        if self._degrees:
            coords = _into_range(coords)
            across = coords[..., 0].max(axis=1) > 180 if len(coords) else across
        rounded = np.round(coords, decimals)
        for whole, corners, cut in zip(coords, rounded.tolist(), across.tolist(), strict=True):
            if cut:
                yield _cut(whole)
            elif len(corners) == 1:
                yield f'{{"type": "Point", "coordinates": {corners[0]}}}'
            else:
                yield f'{{"type": "Polygon", "coordinates": [{[*corners, corners[0]]}]}}'


def _json_column(values: NDArray[Any]) -> list[str]:
    if values.dtype == object:
        known = {text: json.dumps(text, ensure_ascii=False) for text in set(values.tolist())}
        return [known[text] for text in values.tolist()]
    return ["null" if v != v else repr(v) for v in values.tolist()]


def _into_range(coords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn longitudes by whole turns so that each geometry begins in [-180, 180)."""
    west = coords[..., 0].min(axis=1, keepdims=True)
    turns = np.floor((west + 180) / 360)
    return np.stack([coords[..., 0] - 360 * turns, coords[..., 1]], axis=-1)


def _cut(ring: NDArray[np.float64]) -> str:
    """Two polygons, one each side of the antimeridian (RFC 7946, section 3.1.9)."""
    polygon = shapely.Polygon(ring)
    parts = []
    for west, shift in ((-180.0, 0.0), (180.0, -360.0)):
        part = shapely.intersection(polygon, shapely.box(west, -90, west + 360, 90))
        corners = np.add(shapely.get_coordinates(part), [shift, 0.0])
        if shapely.get_type_id(part) == 3:
            if not shapely.is_ccw(shapely.get_exterior_ring(part)):
                corners = corners[::-1]
            parts.append([np.round(corners, _DEGREE_DECIMALS).tolist()])
    return json.dumps({"type": "MultiPolygon", "coordinates": parts})


class CsvSink:
    """CSV with the geometry as WKT, the centre in the same coordinates, and all fields.

    The format has no place for the CRS or for run metadata.

    Parameters are those of `nssa_gis.vector.sinks.GpkgSink`.
    """

    suffix = ".csv"

    def __init__(self, folder: Path, layer: str, info: LayerInfo) -> None:
        self.target = folder / f"{layer}{self.suffix}"
        self._degrees = info.crs is not None and info.crs.is_geographic
        self._file = self.target.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(["WKT", "center_x", "center_y", *(f.name for f in FIELDS)])

    def append(self, chunk: Chunk) -> None:
        """Add lines."""
        decimals = _DEGREE_DECIMALS if self._degrees else _MAP_DECIMALS
        geometries = shapely.from_wkb(chunk.wkb())
        centres = np.round(chunk.coords.mean(axis=1), decimals).T.tolist()
        columns: list[list[Any]] = [
            shapely.to_wkt(geometries, rounding_precision=decimals).tolist() if len(chunk) else [],
            *(centres if len(chunk) else [[], []]),
            *(_csv_column(chunk.columns[f.name]) for f in FIELDS),
        ]
        self._rows.writerows(zip(*columns, strict=True))

    def finish(self, found: Sequence[int]) -> list[Path]:
        """Close the file."""
        self._file.close()
        return [self.target]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _csv_column(values: NDArray[Any]) -> list[Any]:
    return [None if v != v else v for v in values.tolist()]

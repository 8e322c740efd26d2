"""The plan of a run: working grid, tiles, bands, scaling and thresholds, decided before anything is computed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import GridDetections, SceneDetections, TileDetections
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.working_grid import tile_grid, working_grid
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.geo.aoi import Area
from nssa_gis.geo.crs import named_or_none
from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.coverage import choose_overview, empty_tiles
from nssa_gis.raster.radiometry import Scaling, choose_bands, scaling_for
from nssa_gis.vector.areas import read_area

if TYPE_CHECKING:
    from nssa_gis.raster.reader import TileBatch
    from nssa_gis.raster.scene import Scene
    from nssa_gis.runtime.package import ModelInfo

_log = logging.getLogger(__name__)

#: Boxes down to this share of the confidence threshold enter the seam merge. The merge decides which view of an object
#: counts. If each tile applied the threshold itself, an object near it that lies in several tiles would get several
#: chances, and smaller tiles would find more objects.
CANDIDATE_SHARE = 0.7


@dataclass(frozen=True)
class Plan:
    """All decisions of one run.

    Attributes
    ----------
    grid : TileGrid
        Tiles in pixels of the working grid (the scene resampled to the working GSD).
    scale : ndarray of float64, shape (2,)
        Working-grid pixels per scene pixel along x and y.
    gsd : float or None
        Metres per pixel of the working grid; None where the scene has no CRS.
    ids : ndarray of int64, shape (M,)
        The tiles to process, ascending. Tiles outside the area and tiles known to be empty are left out.
    empty : int
        How many tiles inside the area were left out as empty.
    area : Area or None
        Where objects are wanted; None means everywhere.
    bands : tuple of int
        Bands read, from 1.
    scaling : Scaling
        From pixel values to bytes, the same for the whole scene.
    overview : int or None
        Overview that is read, from 0; None for the full resolution.
    threshold : float
        Confidence threshold: lowest score of an object in the layer.
    labels : ndarray of int16, or None
        Classes kept; None means all.
    warnings : tuple of str
        What the user should know before trusting the result, each text once.
    """

    grid: TileGrid
    scale: NDArray[np.float64]
    gsd: float | None
    ids: NDArray[np.int64]
    empty: int
    area: Area | None
    bands: tuple[int, ...]
    scaling: Scaling
    overview: int | None
    threshold: float
    labels: NDArray[np.int16] | None
    warnings: tuple[str, ...]

    @property
    def candidate_threshold(self) -> float:
        """Lowest score of a box that enters the seam merge."""
        return CANDIDATE_SHARE * self.threshold

    def to_grid(self, found: TileDetections, batch: TileBatch) -> GridDetections:
        """Place the detections of a batch on the working grid.

        Boxes whose centre is an invalid pixel are dropped. Boxes are clipped to the scene: what hangs over its edge is
        padding. The tile id and the cut sides are set here.

        Parameters
        ----------
        found : TileDetections
            N boxes in tile pixels; ``item`` is the index in the batch.
        batch : TileBatch
            The tiles.
        """
        if batch.valid is not None and len(found):
            centres = np.floor((found.boxes[:, :2] + found.boxes[:, 2:]) / 2).astype(np.int64)
            x, y = np.clip(centres, 0, self.grid.tile - 1).T
            found = found.take(batch.valid[found.item, y, x])
        ids = batch.ids[found.item]
        boxes = found.boxes + np.tile(self.grid.windows(ids)[:, :2], 2)
        boxes = np.clip(boxes, 0.0, np.array([self.grid.width, self.grid.height] * 2, np.float64))
        placed = GridDetections(boxes, found.scores, found.labels, ids, self.grid.cut_sides(boxes, ids))
        return placed.take(np.asarray((boxes[:, 2:] > boxes[:, :2]).all(axis=1)))

    def to_scene(self, merged: GridDetections) -> SceneDetections:
        """Turn merged detections into objects of the scene.

        Only the wanted scores, classes and places are kept; an object lies where its centre lies.

        Parameters
        ----------
        merged : GridDetections
            From the seam merge, boxes in pixels of the working grid.
        """
        objects = SceneDetections(merged.boxes / np.tile(self.scale, 2), merged.scores, merged.labels)
        objects = objects.take(np.asarray(objects.scores >= np.float32(self.threshold)))
        if self.labels is not None:
            objects = objects.take(np.isin(objects.labels, self.labels))
        if self.area is not None:
            objects = objects.take(self.area.contains((objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2))
        return objects

    def summary(self) -> dict[str, Any]:
        """Size of the work, as JSON values."""
        return {
            "width": self.grid.width,
            "height": self.grid.height,
            "gsd": self.gsd,
            "scale": [float(s) for s in self.scale],
            "tile": self.grid.tile,
            "overlap": self.grid.effective_overlap,
            "tiles": len(self.ids),
        }


def make_plan(scene: Scene, info: ModelInfo, options: DetectOptions, *, native_gsd: float | None = None) -> Plan:
    """Decide how a scene is processed. Headers, masks and statistics are read; nothing is written.

    Parameters
    ----------
    scene : Scene
        Open.
    info : ModelInfo
        Of the model.
    options : DetectOptions
        Options of the user.
    native_gsd : float, optional
        GSD of the scene in metres per pixel, for images whose file does not state it. It replaces the scene's own.

    Raises
    ------
    UsageError
        Options that do not fit the scene or the model.
    NssaError
        The scene lacks bands, is far too coarse, or the area of interest misses it.
    """
    warnings: list[str] = [*scene.notes]
    labels = _labels(info, options)
    bands, told = choose_bands(scene, options.bands, len(info.bands))
    warnings += told
    width, height, gsd = working_grid(scene, info, options, native_gsd, warnings.append)
    grid = tile_grid(width, height, info, options)
    scale = np.array([width / scene.frame.width, height / scene.frame.height])
    area = _area(scene, options, warnings.append)
    ids = np.arange(len(grid), dtype=np.int64)
    if area is not None:
        ids = ids[area.touches(grid.windows(ids) / np.tile(scale, 2))]
    scaling = scaling_for(scene, bands, info.value_range)
    warnings += scaling.warnings
    empty, told = empty_tiles(scene, grid, scaling.reads)
    warnings += told
    overview, told = choose_overview(scene, grid, scaling.reads)
    warnings += told
    empty = empty[ids]
    _log.debug(
        "grid of %d x %d px at %s m/px, %d tiles of %d px, %d of them empty; bands %s",
        *(grid.width, grid.height, gsd, len(ids), grid.tile, empty.sum(), bands),
    )
    threshold = info.score_threshold if options.confidence is None else options.confidence
    return Plan(
        grid=grid,
        scale=scale,
        gsd=gsd,
        ids=ids[~empty],
        empty=int(empty.sum()),
        area=area,
        bands=bands,
        scaling=scaling,
        overview=overview,
        threshold=threshold,
        labels=labels,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _labels(info: ModelInfo, options: DetectOptions) -> NDArray[np.int16] | None:
    if options.classes is None:
        return None
    known = {name.casefold(): number for number, name in enumerate(info.classes)}
    unknown = [name for name in options.classes if name.casefold() not in known]
    if unknown:
        raise UsageError(
            f"--classes {','.join(unknown)}: not a class of the model {info.name}; it knows {', '.join(info.classes)}"
        )
    return np.unique(np.array([known[name.casefold()] for name in options.classes], np.int16))


def _area(scene: Scene, options: DetectOptions, warn: Callable[[str], None]) -> Area | None:
    if options.aoi is not None:
        geometries, crs = read_area(options.aoi, warn)
        try:
            return Area.from_geometries(geometries, crs, scene.frame)
        except NssaError as error:
            raise type(error)(f"--aoi {options.aoi}: {error}") from error
    if options.bounds is None:
        return None
    crs = named_or_none(options.bounds_crs, "--bounds-crs")
    if crs is not None and scene.frame.crs is None:
        raise NssaError(f"--bounds-crs: the scene has no CRS: {scene.path}; give --bounds in pixels")
    return Area.from_bounds(options.bounds, crs, scene.frame)

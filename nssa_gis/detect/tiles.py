"""The first half of a run: tiles through the network, delivered as finished rows of tiles."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.detect.plan import Plan
from nssa_gis.events import Reporter
from nssa_gis.raster.reader import TileReader
from nssa_gis.raster.scene import Scene

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TileRow:
    """One finished row of tiles.

    Attributes
    ----------
    row : int
        Row of the grid.
    tiles : int
        Tiles that the network saw; tiles without a valid pixel are not among them.
    found : GridDetections
        What was found in them, before the seam merge.
    """

    row: int
    tiles: int
    found: GridDetections


class TileRows:
    """Run the network over the tiles of a plan; iterate once to get the finished rows in ascending order.

    Every row that the plan has tiles in is delivered, also one in which no tile holds a valid pixel.

    Parameters
    ----------
    plan : Plan
    scene : Scene
        Open.
    detector : Detector
    report : Reporter
        Receives a ``tile`` event after each batch.
    after : int
        Rows up to this one are done already.
    batch_size : int, optional
        Tiles per call of the network; the detector's own by default.
    readers : int, optional
        Threads that read; one per core and at most 4 by default.

    Attributes
    ----------
    seconds_model, seconds_waiting : float
        Time in the network, and time waiting for pixels.
    """

    def __init__(
        self,
        plan: Plan,
        scene: Scene,
        detector: Detector,
        report: Reporter,
        *,
        after: int = -1,
        batch_size: int | None = None,
        readers: int | None = None,
    ) -> None:
        self._plan, self._scene, self._detector, self._report = plan, scene, detector, report
        self._ids = plan.ids[plan.grid.rows_of(plan.ids) > after]
        self._batch_size = batch_size or detector.batch_size
        self._readers = readers or min(4, os.cpu_count() or 1)
        self.seconds_model = 0.0
        self.seconds_waiting = 0.0

    def __iter__(self) -> Iterator[TileRow]:
        rows = self._plan.grid.rows_of(self._ids)
        coming = np.unique(rows).tolist()
        waiting: list[GridDetections] = []
        tiles = 0
        for ids, found in self._batches():
            batch_rows, found_rows = self._plan.grid.rows_of(ids), self._plan.grid.rows_of(found.tile)
            for row in np.unique(batch_rows).tolist():
                while coming[0] < row:
                    _log.debug("row %d is done, %d tiles", coming[0], tiles)
                    yield TileRow(coming.pop(0), tiles, GridDetections.concat(waiting))
                    waiting, tiles = [], 0
                waiting.append(found.take(found_rows == row))
                tiles += int(np.count_nonzero(batch_rows == row))
        for row in coming:
            yield TileRow(row, tiles, GridDetections.concat(waiting))
            waiting, tiles = [], 0

    def _batches(self) -> Iterator[tuple[np.ndarray, GridDetections]]:
        """Yield the ids of each batch and what was found in it."""
        if not len(self._ids):
            return
        plan = self._plan
        begun = free_since = time.monotonic()
        total = 0
        with TileReader(
            self._scene,
            plan.grid,
            bands=plan.bands,
            scaling=plan.scaling,
            ids=self._ids,
            batch_size=self._batch_size,
            workers=self._readers,
            overview=plan.overview,
        ) as reader:
            for batch in reader:
                asked = time.monotonic()
                self.seconds_waiting += asked - free_since
                found = plan.to_grid(self._detector.predict(batch.pixels, plan.candidate_threshold), batch)
                free_since = time.monotonic()
                self.seconds_model += free_since - asked
                total += len(found)
                yield batch.ids, found
                self._report(
                    "tile",
                    done=int(np.searchsorted(plan.ids, batch.ids[-1], "right")),
                    total=len(plan.ids),
                    detections=total,
                    seconds=round(free_since - begun, 3),
                )
        _log.debug("%d boxes in %d tiles, %.1f s in the network", total, len(self._ids), self.seconds_model)

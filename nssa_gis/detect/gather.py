"""From batches of tiles to finished rows of tiles in the journal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.detect.journal import Journal


class RowGatherer:
    """Collect detections until a row of tiles is complete, then put it into the journal.

    Parameters
    ----------
    journal : Journal
        Where rows go.
    rows : ndarray of int64
        The rows to come, ascending; a row of which no tile ever comes is recorded as an empty one.
    """

    def __init__(self, journal: Journal, rows: NDArray[np.int64]) -> None:
        self._journal = journal
        self._rows = rows.tolist()
        self._waiting: list[GridDetections] = []
        self._tiles = 0

    @property
    def detections(self) -> int:
        """Found so far, in the journal and on the way to it."""
        return self._journal.detections + sum(map(len, self._waiting))

    def add(self, ids: NDArray[np.int64], rows: NDArray[np.int64], found: GridDetections) -> None:
        """Take the detections of some tiles.

        Parameters
        ----------
        ids, rows : ndarray of int64, shape (B,)
            The tiles and their rows, ascending, also from call to call.
        found : GridDetections
            What was found in them.
        """
        where = rows[np.searchsorted(ids, found.tile)]
        for row in np.unique(rows).tolist():
            self._record_before(row)
            self._waiting.append(found.take(where == row))
            self._tiles += int(np.count_nonzero(rows == row))

    def finish(self) -> None:
        """All tiles were seen: record what is left."""
        self._record_before(None)

    def _record_before(self, row: int | None) -> None:
        while self._rows and (row is None or self._rows[0] < row):
            self._journal.append(self._rows.pop(0), GridDetections.concat(self._waiting), self._tiles)
            self._waiting, self._tiles = [], 0

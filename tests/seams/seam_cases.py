"""Cases for the seam tests."""

import numpy as np

from nssa_gis.boxes.columns import GridDetections


def views_of(boxes, grid, scores=0.9, labels=0, least=3.0):
    """What a perfect detector reports: each box clipped to every tile that sees `least` pixels of it."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    scores = np.broadcast_to(np.asarray(scores, np.float64), len(boxes))
    labels = np.broadcast_to(np.asarray(labels), len(boxes))
    parts = []
    for tile in range(len(grid)):
        x0, y0, x1, y1 = grid.windows([tile])[0]
        clipped = np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1])
        seen = ((clipped[:, 2:] - clipped[:, :2]) >= least).all(axis=1)
        cut = grid.cut_sides(clipped[seen], np.full(int(seen.sum()), tile))
        parts.append(GridDetections.of(clipped[seen], scores[seen], labels[seen], tile, cut))
    return GridDetections.concat(parts)


def found(rows, grid):
    """Detections from (tile, x0, y0, x1, y1, score[, label]) rows; cut sides from the grid."""
    rows = [tuple(r) + (0,) * (7 - len(r)) for r in rows]
    table = np.array(rows, np.float64).reshape(-1, 7)
    tile = table[:, 0].astype(np.int64)
    cut = grid.cut_sides(table[:, 1:5], tile)
    return GridDetections.of(table[:, 1:5], table[:, 5], table[:, 6], tile, cut)


def records(detections):
    """All columns as a sorted list of tuples: what two results must agree in."""
    return sorted(
        zip(
            map(tuple, detections.boxes.tolist()),
            detections.scores.tolist(),
            detections.labels.tolist(),
            detections.tile.tolist(),
            detections.cut.tolist(),
            strict=True,
        )
    )


def boxes_of(detections):
    return sorted(map(tuple, detections.boxes.tolist()))

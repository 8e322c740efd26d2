"""The labels of one image, as detections are compared with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageTruth:
    """Labels of one image.

    Attributes
    ----------
    boxes : ndarray, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels.
    labels : ndarray of int, shape (N,)
        Class index.
    ignore : ndarray, shape (M, 4)
        Ignore regions: detections in them are ignored in scoring.
    ignore_labels : ndarray of int, shape (M,), or None
        The class that an ignore region is for (COCO's crowds, difficult objects); -1 for all classes (ignored regions).
        None: every region is for all classes.
    areas : ndarray, shape (N,), or None
        Sizes of the objects as labelled, square pixels; None where they are those of the boxes.
    size : (int, int) or None
        Width and height of the image, where known.
    """

    boxes: NDArray[np.floating]
    labels: NDArray[np.int64]
    ignore: NDArray[np.floating]
    ignore_labels: NDArray[np.int64] | None = None
    areas: NDArray[np.float64] | None = None
    size: tuple[int, int] | None = None

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Area of each object in square pixels, which determines its size bin ``(N,)``."""
        if self.areas is not None:
            return self.areas
        areas: NDArray[np.float64] = (self.boxes[:, 2:] - self.boxes[:, :2]).astype(np.float64).prod(1)
        return areas

    @property
    def ignore_classes(self) -> NDArray[np.int64]:
        """Class that each ignore region is for, -1 for all ``(M,)``."""
        return np.full(len(self.ignore), -1) if self.ignore_labels is None else self.ignore_labels

    def take(self, index: NDArray[np.bool_]) -> ImageTruth:
        """Select objects by a mask; the ignore regions stay."""
        areas = None if self.areas is None else self.areas[index]
        return replace(self, boxes=self.boxes[index], labels=self.labels[index], areas=areas)

    def ignoring(self, classes: Sequence[int] | NDArray[np.int64], size: tuple[float, float]) -> ImageTruth:
        """Ignore classes in the whole image: none of their objects, and the image is an ignore region of each.

        Parameters
        ----------
        classes : sequence of int
            Classes that are not labelled exhaustively here.
        size : (float, float)
            Width and height of the image, in the pixels of the boxes.
        """
        whole = np.broadcast_to(np.array([0, 0, *size], self.ignore.dtype), (len(classes), 4))
        return replace(
            self.take(~np.isin(self.labels, classes)),
            ignore=np.concatenate((self.ignore, whole)),
            ignore_labels=np.concatenate((self.ignore_classes, np.asarray(classes, np.int64))),
        )

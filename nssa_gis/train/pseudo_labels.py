"""Pseudo-labels: boxes that a model suggests for unlabelled images (self-training); hard negatives on empty ones."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.boxes.iou import overlapping_pairs
from nssa_gis.detect.detector import Detector
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.evaluate.inference import find_labelled
from nssa_gis.events import Progress, Reporter
from nssa_gis.files import atomic_write, check_free
from nssa_gis.labels.registry import read_table
from nssa_gis.labels.table import Entry
from nssa_gis.raster.scene import open_scene
from nssa_gis.train.options import SuggestArguments, SuggestOptions
from nssa_gis.train.rotated_views import detect_rotated

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nssa_gis.runtime.package import ModelPackage

#: Lower scores are never used.
_FLOOR = 0.05
#: Of two labels with more IoU one may be false: the weaker becomes an ignore region (vehicles parked side by side at a
#: slant share up to a quarter).
_CROWDED = 0.35


@dataclass(frozen=True)
class Suggestions:
    """Labels that a model suggests for a folder of images.

    Attributes
    ----------
    table : dict
        COCO ``images`` (with ``gsd_m``, ``scene``, and ``hard_negatives`` as ``x, y, w, h``), ``annotations``
        (``iscrowd`` 1 for ignore regions; ``score``) and ``categories``.
    """

    table: dict[str, list[dict[str, Any]]]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.table["images"])

    @property
    def labels(self) -> int:
        """Number of boxes that are labels."""
        return len(self.table["annotations"]) - self.ignore_regions

    @property
    def ignore_regions(self) -> int:
        """Number of boxes that are ignore regions."""
        return sum(a["iscrowd"] for a in self.table["annotations"])

    @property
    def hard_negatives(self) -> int:
        """Number of hard negatives."""
        return sum(len(image.get("hard_negatives", ())) for image in self.table["images"])

    def to_json(self) -> str:
        """Give the COCO JSON, for ``annotations`` or ``additions`` of a source in a recipe."""
        return json.dumps(self.table)


def suggest(
    model: ModelPackage | str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    **options: Unpack[SuggestArguments],
) -> Suggestions:
    """Write pseudo-labels for the images of a folder, as COCO JSON.

    Parameters
    ----------
    model : ModelPackage, str or path
        A package, the name of a built-in model, or a model file.
    dataset : str or path
        Folder of images, in any format of labels; its labels are not used.
    output : str or path
        The COCO JSON.
    progress : callable, optional
        Receives the events ``start`` and ``tile`` (one per image) of :mod:`nssa_gis.events`.
    **options
        Fields of :class:`nssa_gis.train.options.SuggestOptions`.

    Returns
    -------
    Suggestions
        What was written.

    Raises
    ------
    UsageError, NssaError
        As :func:`suggest_labels`; or there is no such model, or the output exists or cannot be written.
    """
    chosen, output = SuggestOptions.parse(options), Path(output)
    check_free(output, chosen.overwrite)
    with Detector(model, device=chosen.device, threads=chosen.threads) as detector:
        found = suggest_labels(
            detector,
            dataset,
            only=chosen.only,
            label_threshold=chosen.label_threshold,
            ignore_threshold=chosen.ignore_threshold,
            hard_negatives=chosen.hard_negatives,
            rotated=chosen.rotated,
            gsd=chosen.gsd,
            progress=progress,
        )
    with atomic_write(output) as partial:
        partial.write_text(found.to_json(), encoding="utf-8")
    return found


def suggest_labels(
    detector: Detector,
    data: str | os.PathLike[str],
    *,
    only: Mapping[str, Any] | None = None,
    label_threshold: float = 0.6,
    ignore_threshold: float = 0.15,
    hard_negatives: bool = False,
    rotated: bool = False,
    gsd: float | None = None,
    progress: Progress | None = None,
) -> Suggestions:
    """Let a model suggest labels for the images of a folder.

    Every image is processed as in a detection, in four mirrored views (or those of the detector's own test-time
    augmentation). The score is the mean over the views; a view without the object counts as 0, so that what only one
    view shows gets a low score. What reaches ``label_threshold`` in the mean, and does not overlap a better box much,
    becomes a label.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    data : path
        A labelled folder in any format; its labels are not used.
    only : mapping, optional
        Keep images whose field equals the value (``only`` of a recipe's source).
    label_threshold : float
        Score from which a box becomes a label.
    ignore_threshold : float
        Score from which a box becomes an ignore region, or a hard negative; weaker boxes are background.
    hard_negatives : bool
        The images are known to hold no object: detections become hard negatives, not annotations.
    rotated : bool
        Rotated views instead of mirrored ones, with the score of one view: for long objects in rows at a slant
        (:func:`nssa_gis.train.rotated_views.detect_rotated`).
    gsd : float, optional
        Metres per pixel of images that state none, neither in the labels nor in the file.
    progress : callable, optional
        Receives the events ``start`` and ``tile`` (one per image) of :mod:`nssa_gis.events`.

    Raises
    ------
    UsageError
        ``ignore_threshold`` is above ``label_threshold``.
    NssaError
        There are no such images, an image cannot be read, or its GSD is not known.
    """
    if ignore_threshold > label_threshold:
        raise UsageError(f"--ignore-threshold {ignore_threshold:g} is above --label-threshold {label_threshold:g}")
    folder, report = Path(data), Reporter(progress)
    entries = [entry for entry in read_table(folder).entries if entry.matches(only or {})]
    if not entries:
        wanted = ", ".join(f"{key}={json.dumps(value).strip(chr(34))}" for key, value in (only or {}).items())
        raise NssaError(f"{folder}: no images {f'with {wanted}' if wanted else 'there'}")
    views = detector
    if not rotated and detector.tta == "none":
        views = Detector.of_backend(detector, detector.info, tta="flip")
    classes = detector.info.classes
    table: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes)],
    }
    report("start", scene=str(folder), backend=detector.description, tiles=len(entries), tiles_done=0)
    for number, entry in enumerate(entries, 1):
        row, found = _detect(views, entry, gsd, rotated)
        found = found.take(found.scores >= ignore_threshold)
        row["id"] = number
        if hard_negatives:
            row["hard_negatives"] = _xywh(found)
        else:
            # rotated views have already decided which of two overlapping boxes stays
            good = found.scores >= label_threshold
            table["annotations"] += _annotations(found, good if rotated else _clear(found, good), number)
        table["images"].append(row)
        report("tile", done=number, total=len(entries), detections=0)
    for number, annotation in enumerate(table["annotations"], 1):
        annotation["id"] = number
    return Suggestions(table)


def _detect(
    detector: Detector, entry: Entry, gsd: float | None, rotated: bool
) -> tuple[dict[str, Any], SceneDetections]:
    """Give the row of an image for the table, and what is found in it."""
    with open_scene(entry.path) as scene:
        own = scene.frame.gsd and sum(scene.frame.gsd) / 2
        known = entry.gsd or own or gsd
        if not known:
            raise NssaError(f"{entry.path}: its metres per pixel are unknown; give them with --gsd")
        if rotated:
            found = detect_rotated(detector, scene, known)
        else:
            stated = entry.gsd or (None if own else gsd)
            found = find_labelled(detector, scene, stated, confidence=_FLOOR)
        size = {"width": scene.frame.width, "height": scene.frame.height}
    return {"id": 0, "file_name": entry.name, **size, "gsd_m": known, "scene": entry.scene}, found


def _annotations(found: SceneDetections, good: NDArray[np.bool_], image: int) -> list[dict[str, Any]]:
    rows = zip(_xywh(found), found.scores.tolist(), found.labels.tolist(), good.tolist(), strict=True)
    return [
        {
            "id": 0,
            "image_id": image,
            "category_id": label + 1,
            "bbox": box,
            "area": round(box[2] * box[3], 2),
            "iscrowd": int(not is_label),
            "score": round(score, 3),
        }
        for box, score, label, is_label in rows
    ]


def _xywh(found: SceneDetections) -> list[list[float]]:
    """Boxes as ``x, y, width, height``, to a hundredth of a pixel."""
    boxes = found.boxes
    rows: list[list[float]] = np.column_stack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2])).round(2).tolist()
    return rows


def _clear(found: SceneDetections, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out the labels that overlap a better one of their class much."""
    clear = np.array(good)
    rows = np.flatnonzero(good)
    i, j, _ = overlapping_pairs(found.boxes[rows], found.labels[rows], _CROWDED)
    i, j = rows[i], rows[j]
    clear[np.where(found.scores[i] < found.scores[j], i, j)] = False
    return clear

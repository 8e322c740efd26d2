"""A model over a labelled dataset: accuracy under one or more protocols."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.evaluate.inference import find_labelled
from nssa_gis.evaluate.options import EvaluateArguments, EvaluateOptions
from nssa_gis.evaluate.protocols import PROTOCOLS, ProtocolScore, score_protocol
from nssa_gis.events import Progress, Reporter
from nssa_gis.labels.classes import boxes_of_no_class, class_table, classes_not_exhaustive, truth_of, usable_entries
from nssa_gis.labels.registry import read_table
from nssa_gis.labels.table import Entry
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.raster.scene import open_scene

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nssa_gis.runtime.package import ModelInfo, ModelPackage

#: Low enough for the precision-recall curve but for the last of its tail.
_FLOOR = 0.01
#: A source in what a package says of its training data: name, weight, held-out scenes.
_SOURCE = r"(?:^|; )(.+?) \(weight ([\d.]+)(?:, held out: ([^)]*))?\)"


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of a model on a labelled dataset.

    Attributes
    ----------
    model, model_version : str
        Name and version of the model.
    dataset : str
        The folder.
    images : int
        Number of images that were scored.
    scale : float or None
        Enlargement that was asked for.
    backend : str
        Library, device and precision in words.
    categories : dict of str to str
        Category of the dataset to class of the model.
    protocols : tuple of ProtocolScore
        One for each protocol, in the order asked for.
    """

    model: str
    model_version: str
    dataset: str
    images: int
    scale: float | None
    backend: str
    categories: dict[str, str]
    protocols: tuple[ProtocolScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give JSON values, without the curves; NaN becomes null."""
        return {**self.__dict__, "protocols": [score.to_dict() for score in self.protocols]}

    def to_text(self) -> str:
        """Give a heading and a table for each protocol, figures from 0 to 1."""
        heading = f"{self.model} {self.model_version} on {self.dataset}: {self.images} images, {self.backend}"
        return "\n".join((heading, *(score.to_text() for score in self.protocols)))


def evaluate(
    model: ModelPackage | str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    **options: Unpack[EvaluateArguments],
) -> Evaluation:
    """Measure the accuracy of a model on a labelled dataset.

    Parameters
    ----------
    model : ModelPackage, str or path
        A package, the name of a built-in model, or a model file.
    dataset : str or path
        Folder of VisDrone txt, COCO or AI-TOD JSON, DOTA txt, YOLO txt or VOC XML.
    progress : callable, optional
        Receives the events ``warning``, ``data``, ``start`` and ``tile`` (one per image) of
        :mod:`nssa_gis.events`.
    **options
        Fields of :class:`nssa_gis.evaluate.options.EvaluateOptions`.

    Returns
    -------
    Evaluation

    Raises
    ------
    UsageError, NssaError
        As :func:`evaluate_model`; or there is no such model.

    Examples
    --------
    >>> nssa_gis.evaluate("aerial-vehicles", "town", classes="vehicle=car").protocols[0].ap50  # doctest: +SKIP
    0.91
    """
    chosen = EvaluateOptions.parse(options)
    with Detector(model, device=chosen.device, threads=chosen.threads, tta=chosen.tta) as detector:
        return evaluate_model(
            detector,
            dataset,
            protocols=chosen.protocols,
            classes=chosen.classes,
            label_format=chosen.format,
            annotations=chosen.annotations,
            images=chosen.images,
            gsd=chosen.gsd,
            scale=chosen.scale,
            limit=chosen.limit,
            progress=progress,
        )


def evaluate_model(
    detector: Detector,
    data: str | os.PathLike[str],
    *,
    protocols: Sequence[str] = ("coco",),
    classes: Mapping[str, Sequence[str]] | None = None,
    label_format: str | None = None,
    annotations: str | None = None,
    images: str | None = None,
    gsd: float | None = None,
    scale: float | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the accuracy of a model on a labelled folder.

    Every image goes through the detector as in a detection. Boxes and areas are in pixels of the images as they are,
    whatever resolution the network sees. A class is ignored in images that do not label it exhaustively.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    data : path
        Folder of VisDrone txt, COCO or AI-TOD JSON, DOTA txt, YOLO txt or VOC XML.
    protocols : sequence of str
        Some of :data:`nssa_gis.evaluate.protocols.PROTOCOLS`; detection runs once.
    classes : mapping of str to sequence of str, optional
        Class of the model to categories of the dataset (:func:`nssa_gis.labels.classes.class_table`); by default the
        category of the same name.
    label_format : str, optional
        One of :data:`nssa_gis.labels.registry.FORMATS`; by default recognised by what lies in the folder.
    annotations, images : str, optional
        Where labels and images lie under it, if not at the format's own places.
    gsd : float, optional
        Metres per pixel of images that state none, neither in the labels nor in the file; without it these are
        processed at native resolution.
    scale : float, optional
        Enlarge every image by this factor; by default from its GSD to the model's.
    limit : int, optional
        At most this many images, evenly spread.
    progress : callable, optional
        Receives the events ``warning``, ``data``, ``start`` and ``tile`` (one per image) of
        :mod:`nssa_gis.events`.

    Raises
    ------
    UsageError
        An unknown protocol or format, or classes that do not fit the model or the dataset.
    NssaError
        Labels or an image cannot be read, or no image labels one of the classes exhaustively.
    """
    unknown = [name for name in protocols if name not in PROTOCOLS]
    if unknown:
        raise UsageError(f"protocol {unknown[0]!r} is unknown; known: {', '.join(PROTOCOLS)}")
    info, report = detector.info, Reporter(progress)
    table = read_table(Path(data), label_format, annotations, images)
    chosen = class_table(info.classes, table.categories, classes or {})
    entries = spread(usable_entries(table, chosen), limit)
    if not entries:
        raise NssaError(f"{os.fspath(data)}: no image is left to evaluate: none labels one of the classes exhaustively")
    truths = [truth_of(entry, chosen, classes_not_exhaustive(entry, table.categories, chosen)) for entry in entries]
    for message in (*table.warnings, *_trained_on(info, Path(data), entries)):
        report.warn(message)
    boxes, ignored = sum(len(t.boxes) for t in truths), sum(len(t.ignore) for t in truths)
    report("data", images=len(entries), boxes=boxes, ignored=ignored, dropped=table.lost,
           unused=boxes_of_no_class(table, chosen))  # fmt: skip
    report("start", scene=os.fspath(data), backend=detector.description, tiles=len(entries), tiles_done=0)
    found = detect_entries(
        detector,
        entries,
        scale,
        gsd,
        lambda done: report("tile", done=done, total=len(entries), detections=0),
        report.warn,
    )
    used = [k for k in range(len(info.classes)) if k in chosen]
    names = [info.classes[k] for k in used]
    truths, found = only_classes(truths, found, used)
    return Evaluation(
        model=info.name,
        model_version=info.version,
        dataset=os.fspath(data),
        images=len(entries),
        scale=scale,
        backend=detector.description,
        categories={table.categories[k]: info.classes[c] for k, c in enumerate(chosen) if c >= 0},
        protocols=tuple(
            score_protocol(name, truths, found, names, info.score_threshold) for name in dict.fromkeys(protocols)
        ),
    )


def detect_entries(
    detector: Detector,
    entries: Sequence[Entry],
    scale: float | None,
    gsd: float | None,
    report: Callable[[int], None] = lambda done: None,
    warn: Callable[[str], None] = lambda message: None,
) -> list[SceneDetections]:
    """Detect in every image.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    entries : sequence of Entry
        The images.
    scale : float or None
        Enlargement; by default from the image's GSD to the model's.
    gsd : float or None
        Metres per pixel of images that state none, neither in the labels nor in the file.
    report : callable
        Takes the number of images done.
    warn : callable
        Takes what the user should know: the first image of unknown GSD.

    Returns
    -------
    list of SceneDetections
        Per image, in its own pixels, by falling score.

    Raises
    ------
    NssaError
        An image cannot be read.
    """
    found, told = [], False
    for done, entry in enumerate(entries, 1):
        with open_scene(entry.path) as scene:
            stated = entry.gsd or (gsd if scene.frame.gsd is None else None)
            if not told and scale is None and stated is None and scene.frame.gsd is None:
                warn(
                    f"{entry.path}: no ground sample distance is known, neither from the labels nor from the file; "
                    "such images are processed at native resolution; state it as gsd_m or with --gsd"
                )
                told = True
            found.append(find_labelled(detector, scene, stated, confidence=_FLOOR, scale=scale))
        report(done)
    return found


def _trained_on(info: ModelInfo, folder: Path, entries: Sequence[Entry]) -> list[str]:
    """Say if the package names the dataset among the sources that its model was trained on."""
    name = folder.resolve().name
    told = [row for row in re.findall(_SOURCE, info.training_data) if row[0] == name]
    if not any(float(weight) > 0 for _, weight, _ in told):
        return []
    held_out = {scene for _, _, scenes in told for scene in scenes.split()}
    seen = sum(entry.scene not in held_out for entry in entries)
    if not seen:
        return []
    return [
        f"{seen} of {len(entries)} images are not among those held out from {name}, a source that {info.name} was "
        "trained on; if they are of that source, the figures are too good"
    ]


def spread(entries: Sequence[Entry], limit: int | None) -> list[Entry]:
    """At most ``limit`` of the images, evenly spread from the first to the last."""
    if not limit or limit >= len(entries):
        return list(entries)
    return [entries[round(k * (len(entries) - 1) / max(limit - 1, 1))] for k in range(limit)]


def only_classes(
    truths: Sequence[ImageTruth], found: Sequence[SceneDetections], used: Sequence[int]
) -> tuple[list[ImageTruth], list[SceneDetections]]:
    """Leave out classes of the model that the dataset does not label, and number the others anew.

    Parameters
    ----------
    truths, found : sequences
        Labels and detections per image; all labels are among ``used``.
    used : sequence of int
        Classes of the model to keep.
    """
    number = np.full(max(used) + 2, -1)  # its last element is the -1 of no class
    number[list(used)] = np.arange(len(used))
    known = [d.take(np.isin(d.labels, used)) for d in found]
    return (
        [replace(t, labels=number[t.labels], ignore_labels=number[t.ignore_classes]) for t in truths],
        [SceneDetections.of(d.boxes, d.scores, number[d.labels]) for d in known],
    )

"""Labelled images through a detector, the same way as a detection."""

from __future__ import annotations

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import find_objects
from nssa_gis.raster.scene import Scene


def find_labelled(
    detector: Detector,
    scene: Scene,
    gsd: float | None,
    *,
    confidence: float,
    working_gsd: float | None = None,
    scale: float | None = None,
) -> SceneDetections:
    """Find the objects of a labelled image, whatever its GSD.

    It is :func:`nssa_gis.detect.run.find_objects` with a low threshold; a coarse image is enlarged instead of refused.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    scene : Scene
        The image, open.
    gsd : float or None
        Metres per pixel of the image as its labels state it; None: what the file says. Without both the image is
        processed at native resolution.
    confidence : float
        Lowest score, 0 to 1.
    working_gsd : float, optional
        Metres per pixel that the network sees; by default those of the model.
    scale : float, optional
        Enlargement of the image instead.

    Returns
    -------
    SceneDetections
        By falling score; boxes in pixels of the image.

    Raises
    ------
    NssaError
        The image cannot be read.
    """
    known = (gsd or scene.frame.gsd) is not None and scale is None
    options = DetectOptions(
        confidence=confidence, gsd=(working_gsd or detector.info.gsd) if known else None, scale=scale
    )
    return find_objects(detector, scene, options, gsd=gsd)

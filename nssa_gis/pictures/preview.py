"""A picture of the result: the whole scene with its objects, and the densest places enlarged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyproj
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from nssa_gis.errors import UsageError
from nssa_gis.files import SOFTWARE, atomic_write, check_name, keep_inputs
from nssa_gis.geo.crs import named_or_none
from nssa_gis.pictures.objects import NO_CLASS, Objects, read_objects
from nssa_gis.pictures.options import PreviewOptions
from nssa_gis.pictures.view import SceneView
from nssa_gis.raster.scene import Box, open_scene
from nssa_gis.vector.style import OTHER_COLOUR, class_colour

_GAP = 10
_BACKGROUND = (24, 26, 30)
_TEXT = (235, 235, 235)
#: A place is enlarged until an object of median size is this wide, in pixels of the picture.
_OBJECT_PX = 34
#: Objects are drawn at least this wide and high: smaller ones would not show their colour.
_LEAST_PX = 5


def preview(
    scene: str | os.PathLike[str],
    layer: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    size: int = 1600,
    details: int = 3,
    crs: str | None = None,
) -> Path:
    """Draw a scene with the objects of a layer as a PNG picture; an existing one is replaced.

    Parameters
    ----------
    scene, layer, output : str or path
        The image, a layer that ``detect`` wrote, and the picture.
    size : int
        Longest side of the overview, pixels, 200 to 8000.
    details : int
        Number of enlarged places, 0 to 8.
    crs : str, optional
        CRS of a scene whose file states none.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    UsageError, NssaError
        As :func:`draw_preview`; or a number is out of bounds.
    """
    options = PreviewOptions.parse({"size": size, "details": details, "crs": crs})
    named = named_or_none(options.crs, "--crs")
    draw_preview(scene, layer, output, max_side=options.size, details=options.details, crs=named)
    return Path(output)


def draw_preview(
    scene_path: str | os.PathLike[str],
    layer_path: str | os.PathLike[str],
    png_path: str | os.PathLike[str],
    *,
    max_side: int = 1600,
    details: int = 3,
    crs: pyproj.CRS | None = None,
) -> None:
    """Draw the scene with its objects on the left and the densest places enlarged on the right.

    What is drawn is the geometry of the layer at its place on the map, whatever the CRS. So a layer that was edited
    shows its edits.

    Parameters
    ----------
    scene_path : path
        The image; read at the size in which it is drawn.
    layer_path : path
        A layer that ``detect`` wrote, of any format. Rows of other scenes are left out.
    png_path : path
        Picture to write, ending in ``.png``; an existing one is replaced when the new one is complete.
    max_side : int
        Longest side of the overview, pixels.
    details : int
        Number of enlarged places; fewer are drawn if there are no more objects.
    crs : pyproj.CRS, optional
        CRS of a scene whose file states none.

    Raises
    ------
    UsageError
        The picture's name does not end in ``.png``, or it is the scene or the layer.
    NssaError
        A file cannot be read or written, the layer lacks a class or a geometry, or none of its objects lies on the
        scene.
    """
    for path, what in ((png_path, "the picture"), (layer_path, "the layer")):
        check_name(path, what)
    png_path = Path(png_path)
    if png_path.suffix.lower() != ".png":
        raise UsageError(f"{png_path}: the picture is a PNG; end its name in .png")
    with open_scene(scene_path, crs) as scene:
        keep_inputs([png_path], [*scene.files, layer_path])
        picture = _compose(SceneView(scene), read_objects(layer_path, scene), max_side, details)
    origin = PngInfo()
    origin.add_text("Software", SOFTWARE)
    with atomic_write(png_path) as partial:
        picture.save(partial, "PNG", pnginfo=origin)


def _compose(view: SceneView, objects: Objects, max_side: int, details: int) -> Image.Image:
    zoom = min(1.0, max_side / max(view.width, view.height))
    whole = (0, 0, view.width, view.height)
    overview = view.overview(max(1, round(view.width * zoom)), max(1, round(view.height * zoom)))
    spots, side, enlarged = _spots(objects, view.width, view.height, overview.height, details)
    canvas = ImageDraw.Draw(overview)
    _draw_objects(canvas, objects, whole, zoom)
    for number, spot in enumerate(spots, start=1):
        left, top, right, bottom = (v * zoom for v in spot)
        canvas.rectangle((left, top, right, bottom), outline="white", width=2)
        _label(canvas, left + 3, top + 2, str(number))
    panels = []
    for number, spot in enumerate(spots, start=1):
        panel = view.detail(spot, side)
        pen = ImageDraw.Draw(panel)
        _draw_objects(pen, objects, spot, enlarged)
        _label(pen, 6, 4, str(number))
        panels.append(panel)
    return _sheet(overview, panels, objects)


def _spots(objects: Objects, width: int, height: int, canvas_height: int, details: int) -> tuple[list[Box], int, float]:
    """Windows with the most objects that do not overlap; side of a panel in the picture, pixels; its zoom."""
    side = max(240, (canvas_height - (details - 1) * _GAP) // max(details, 1)) if details else 0
    if not len(objects) or not details:
        return [], side, 1.0
    boxes = objects.boxes
    size = np.median(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)))
    zoom = float(np.clip(_OBJECT_PX / max(size, 1.0), 0.5, 8))
    extent = max(1, min(round(side / zoom), width, height))
    zoom = side / extent
    centres = np.clip((boxes[:, :2] + boxes[:, 2:]) / 2, 0, [width, height])
    free = np.ones(len(centres), bool)
    spots: list[Box] = []
    for _ in range(details):
        if not free.any():
            break
        # The cell of a grid of half windows that has most objects; then a window around the median of these objects.
        cells = np.floor(centres[free] / (extent / 2)).astype(np.int64)
        key = cells[:, 1] * (2 * width // extent + 3) + cells[:, 0]
        _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
        middle = np.median(centres[free][inverse == int(np.argmax(counts))], axis=0)
        x0 = int(np.clip(middle[0] - extent / 2, 0, width - extent))
        y0 = int(np.clip(middle[1] - extent / 2, 0, height - extent))
        spots.append((x0, y0, x0 + extent, y0 + extent))
        # Nearer than one window would overlap this one; twice that shows another place.
        away = np.abs(centres - [x0 + extent / 2, y0 + extent / 2]).max(axis=1)
        free &= away > extent * 2
    return spots, side, zoom


def _draw_objects(canvas: ImageDraw.ImageDraw, objects: Objects, window: Box, zoom: float) -> None:
    """Draw the outlines of the objects that a window of the scene shows."""
    drawn = (objects.boxes - np.tile(window[:2], 2)) * zoom
    limit = (np.array(window[2:]) - window[:2]) * zoom
    seen = np.flatnonzero((drawn[:, 2:] > 0).all(axis=1) & (drawn[:, :2] < limit).all(axis=1))
    small = ((drawn[:, 2:] - drawn[:, :2]) < _LEAST_PX).any(axis=1)
    grow = np.maximum(0, _LEAST_PX - (drawn[:, 2:] - drawn[:, :2])) / 2
    drawn = np.concatenate([drawn[:, :2] - grow, drawn[:, 2:] + grow], axis=1).round()
    line = 2 if zoom >= 1.5 else 1
    for k in seen.tolist():
        colour = _colour(int(objects.class_id[k]))
        if small[k] or objects.upright[k]:
            canvas.rectangle(drawn[k].tolist(), outline=colour, width=line)
            continue
        for ring in objects.outline(k):
            corners = (ring - window[:2]) * zoom
            canvas.line([(x, y) for x, y in corners.tolist()], fill=colour, width=line, joint="curve")


def _colour(class_id: int) -> str:
    return OTHER_COLOUR if class_id == NO_CLASS else class_colour(class_id)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _label(canvas: ImageDraw.ImageDraw, x: float, y: float, text: str) -> None:
    canvas.text((x, y), text, fill="white", font=_font(20), stroke_width=2, stroke_fill="black")


def _sheet(overview: Image.Image, panels: Sequence[Image.Image], objects: Objects) -> Image.Image:
    side = panels[0].width if panels else 0
    width = overview.width + (side + _GAP if panels else 0)
    stacked = len(panels) * (side + _GAP) - _GAP
    body = max(overview.height, stacked if panels else 0)
    legend = _legend(objects, width)
    sheet = Image.new("RGB", (width, body + legend.height), _BACKGROUND)
    sheet.paste(overview, (0, 0))
    for row, panel in enumerate(panels):
        sheet.paste(panel, (overview.width + _GAP, row * (side + _GAP)))
    sheet.paste(legend, (0, body))
    return sheet


def _legend(objects: Objects, width: int) -> Image.Image:
    font, line = _font(18), 30
    total = len(objects)
    counted = f"{total} object{'' if total == 1 else 's'}"
    if objects.elsewhere:
        counted += f" ({objects.elsewhere} more outside the scene)"
    entries: list[tuple[str | None, str]] = [(None, counted)]
    for class_id, n in zip(*np.unique(objects.class_id, return_counts=True), strict=True):
        entries.append((_colour(int(class_id)), f"{objects.names[int(class_id)]}  {n}"))
    places, x, y = [], 10, 6
    for _, text in entries:
        wide = int(font.getlength(text)) + 46
        if x > 10 and x + wide > width:
            x, y = 10, y + line
        places.append((x, y))
        x += wide
    image = Image.new("RGB", (width, y + line), _BACKGROUND)
    canvas = ImageDraw.Draw(image)
    for (colour, text), (left, top) in zip(entries, places, strict=True):
        if colour is not None:
            canvas.rectangle((left, top + 4, left + 15, top + 17), outline=colour, width=3)
            left += 22
        canvas.text((left, top), text, fill=_TEXT, font=font)
    return image

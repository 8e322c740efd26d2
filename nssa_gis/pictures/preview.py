"""A picture of the result: the whole scene with its boxes, and the densest places enlarged."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import check_name, keep_inputs
from nssa_gis.pictures.options import PreviewOptions
from nssa_gis.raster.scene import READ_ERRORS, open_scene
from nssa_gis.vector.style import class_colour

_COLUMNS = ["class", "class_id", "x_px", "y_px", "w_px", "h_px", "scene"]
_GAP = 10
_BACKGROUND = (24, 26, 30)
_TEXT = (235, 235, 235)
# Enlarged so that an object of middle size is this wide in the picture: a car is then plain to see.
_OBJECT_PX = 34


@dataclass(frozen=True)
class _Boxes:
    """Boxes of one scene: ``xyxy`` float64 (N, 4) scene pixels, ``class_id`` int (N,), names by number."""

    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    names: dict[int, str]


def preview(
    scene: str | os.PathLike[str],
    layer: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    size: int = 1600,
    details: int = 3,
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

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    UsageError, NssaError
        As :func:`draw_preview`; or a number is out of bounds.
    """
    options = PreviewOptions.parse({"size": size, "details": details})
    draw_preview(scene, layer, output, max_side=options.size, details=options.details)
    return Path(output)


def draw_preview(
    scene_path: str | os.PathLike[str],
    layer_path: str | os.PathLike[str],
    png_path: str | os.PathLike[str],
    *,
    max_side: int = 1600,
    details: int = 3,
) -> None:
    """Draw the scene with its boxes on the left and the densest places enlarged on the right.

    Parameters
    ----------
    scene_path : path
        The image; read at the size it is drawn in.
    layer_path : path
        A layer that `nssa_gis.vector.writer` wrote, of any format. Rows of other scenes are left out.
    png_path : path
        Picture to write, ending in ``.png``; an existing one is replaced when the new one is complete.
    max_side : int
        The overview is at most this wide and high, in pixels.
    details : int
        Number of enlarged places; 0 leaves them out, and fewer are drawn where there are no more objects.

    Raises
    ------
    UsageError
        The picture's name does not end in ``.png``, or it is the scene or the layer.
    NssaError
        A file cannot be read or written, or the layer lacks the pixel fields.
    """
    for path, what in ((png_path, "the picture"), (layer_path, "the layer")):
        check_name(path, what)
    png_path = Path(png_path)
    if png_path.suffix.lower() != ".png":
        raise UsageError(f"{png_path}: the picture is a PNG; end its name in .png")
    with open_scene(scene_path) as opened:
        keep_inputs([png_path], [*opened.files, layer_path])
    boxes = _read_boxes(Path(layer_path), Path(scene_path).stem)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(scene_path) as scene:
                picture = _compose(scene, boxes, max_side, details)
    except READ_ERRORS as error:
        raise NssaError(f"{scene_path}: cannot be read for the preview ({error}); check the file") from error
    _save(picture, png_path)


def _save(picture: Image.Image, path: Path) -> None:
    """Write beside the place and move there, so that an old picture is lost only to a whole new one."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.partial-", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            picture.save(partial, "PNG")
            os.replace(partial, path)
    except OSError as error:
        raise NssaError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error


def _compose(scene: rasterio.DatasetReader, boxes: _Boxes, max_side: int, details: int) -> Image.Image:
    picture = _Picture(scene)
    shrink = max(scene.width, scene.height, max_side) / max_side
    whole = Window(0, 0, scene.width, scene.height)
    overview = picture.read(whole, max(1, round(scene.width / shrink)), max(1, round(scene.height / shrink)))
    spots, side, zoom = _spots(boxes, scene.width, scene.height, overview.height, details)
    canvas = ImageDraw.Draw(overview)
    _draw_boxes(canvas, boxes, whole, 1 / shrink)
    for number, spot in enumerate(spots, start=1):
        corners = [spot.col_off, spot.row_off, spot.col_off + spot.width, spot.row_off + spot.height]
        left, top, right, bottom = (v / shrink for v in corners)
        canvas.rectangle((left, top, right, bottom), outline="white", width=2)
        _label(canvas, left + 3, top + 2, str(number))
    panels = []
    for number, spot in enumerate(spots, start=1):
        panel = picture.read(spot, side, side)
        pen = ImageDraw.Draw(panel)
        _draw_boxes(pen, boxes, spot, zoom)
        _label(pen, 6, 4, str(number))
        panels.append(panel)
    return _sheet(overview, panels, boxes)


class _Picture:
    """Windows of a scene as RGB images under one stretch for all of them."""

    def __init__(self, scene: rasterio.DatasetReader) -> None:
        self._scene = scene
        self._palette: dict[int, tuple[int, ...]] | None = None
        if scene.count == 1 and scene.colorinterp[0] == ColorInterp.palette:
            self._palette = scene.colormap(1)
        self._bands = _rgb_bands(scene)
        self._range: list[tuple[float, float]] | None = None

    def read(self, window: Window, width: int, height: int) -> Image.Image:
        """Read a window at the size asked for; the part beyond the scene and nodata are dark."""
        pixels = self._scene.read(
            self._bands,
            window=window,
            out_shape=(len(self._bands), height, width),
            boundless=False,
            masked=True,
            resampling=self._resampling(window, width),
        )
        if self._palette is not None:
            table = np.zeros((256, 3), np.uint8)
            for value, colour in self._palette.items():
                table[value % 256] = colour[:3]
            return Image.fromarray(table[pixels[0].filled(0)])
        if self._range is None:
            self._range = [_stretch(band) for band in pixels]
        out = np.empty((height, width, 3), np.uint8)
        for k, band in enumerate(pixels):
            low, high = self._range[k]
            scaled = (band.filled(0).astype(np.float64) - low) / (high - low)
            out[..., k] = np.where(np.ma.getmaskarray(band), 0, np.clip(np.nan_to_num(scaled), 0, 1) * 255)
        return Image.fromarray(out)

    def _resampling(self, window: Window, width: int) -> rasterio.enums.Resampling:
        kinds = rasterio.enums.Resampling
        if self._palette is not None:
            return kinds.nearest
        return kinds.average if width < window.width else kinds.bilinear


def _rgb_bands(scene: rasterio.DatasetReader) -> list[int]:
    order = list(scene.colorinterp)
    wanted = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    if all(w in order for w in wanted):
        return [order.index(w) + 1 for w in wanted]
    if ColorInterp.palette in order and scene.count == 1:
        return [1]
    return [1, 2, 3] if scene.count >= 3 else [1, 1, 1]


def _stretch(band: np.ma.MaskedArray) -> tuple[float, float]:
    if band.dtype == np.uint8:
        return 0.0, 255.0
    values = band.compressed()
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(max(high, low + 1e-9 * max(abs(low), 1)))


def _read_boxes(path: Path, scene: str) -> _Boxes:
    missing = f"{path}: lacks the fields of a layer made by nssa-gis; give the file that detect wrote"
    try:
        if path.suffix.lower() in (".parquet", ".geoparquet"):
            columns = _parquet_columns(path)
        else:
            layers = pyogrio.list_layers(path)[:, 0]
            layer = next((name for name in layers if name != "layer_styles"), layers[0])
            meta, _, _, values = pyogrio.raw.read(path, layer=layer, columns=_COLUMNS, read_geometry=False)
            columns = dict(zip(meta["fields"], values, strict=True))
        if set(_COLUMNS) - set(columns):
            raise NssaError(missing)
    except (RuntimeError, OSError, IndexError, KeyError, ValueError) as error:
        raise NssaError(f"{path}: cannot be read ({error}); give the file that detect wrote") from error
    mine = columns["scene"] == scene
    if not mine.any():
        mine[:] = True  # the image was renamed or copied since: all rows are its own
    x, y, w, h = (np.asarray(columns[k][mine], np.float64) for k in ("x_px", "y_px", "w_px", "h_px"))
    class_id = np.asarray(columns["class_id"][mine], np.int64)
    found, first = np.unique(class_id, return_index=True)
    names = {int(k): str(columns["class"][mine][i]) for k, i in zip(found, first, strict=True)}
    return _Boxes(np.stack([x, y, x + w, y + h], axis=1), class_id, names)


def _parquet_columns(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=_COLUMNS)
    return {name: table[name].to_numpy() for name in table.column_names}


def _spots(boxes: _Boxes, width: int, height: int, canvas_height: int, details: int) -> tuple[list[Window], int, float]:
    """Windows with the most objects, none over another; side of a panel in the picture; its zoom."""
    side = max(240, (canvas_height - (details - 1) * _GAP) // max(details, 1)) if details else 0
    if not len(boxes.xyxy) or not details:
        return [], side, 1.0
    size = np.median(np.sqrt(np.prod(boxes.xyxy[:, 2:] - boxes.xyxy[:, :2], axis=1)))
    zoom = float(np.clip(_OBJECT_PX / max(size, 1.0), 0.5, 8))
    extent = max(1, min(round(side / zoom), width, height))
    zoom = side / extent
    centres = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2
    free = np.ones(len(centres), bool)
    spots: list[Window] = []
    for _ in range(details):
        if not free.any():
            break
        # The fullest cell of a grid of half windows, then a window around the middle of what lies there.
        cells = np.floor(centres[free] / (extent / 2)).astype(np.int64)
        key = cells[:, 1] * (2 * width // extent + 3) + cells[:, 0]
        _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
        middle = np.median(centres[free][inverse == int(np.argmax(counts))], axis=0)
        x0 = int(np.clip(middle[0] - extent / 2, 0, width - extent))
        y0 = int(np.clip(middle[1] - extent / 2, 0, height - extent))
        spots.append(Window(x0, y0, extent, extent))
        # Nearer than a window would overlap this one; twice that shows another place, not the next rows.
        away = np.abs(centres - [x0 + extent / 2, y0 + extent / 2]).max(axis=1)
        free &= away > extent * 2
    return spots, side, zoom


def _draw_boxes(canvas: ImageDraw.ImageDraw, boxes: _Boxes, window: Window, zoom: float) -> None:
    shift = [window.col_off, window.row_off, window.col_off, window.row_off]
    drawn = (boxes.xyxy - shift) * zoom
    limit_x, limit_y = window.width * zoom, window.height * zoom
    seen = (drawn[:, 2] > 0) & (drawn[:, 3] > 0) & (drawn[:, 0] < limit_x) & (drawn[:, 1] < limit_y)
    drawn = drawn[seen]
    # Boxes of an overview shrink to nothing: five pixels are the least that still shows its colour.
    grow = np.maximum(0, 5 - (drawn[:, 2:] - drawn[:, :2])) / 2
    drawn = np.concatenate([drawn[:, :2] - grow, drawn[:, 2:] + grow], axis=1).round()
    line = 2 if zoom >= 1.5 else 1
    for box, label in zip(drawn.tolist(), boxes.class_id[seen].tolist(), strict=True):
        canvas.rectangle(box, outline=class_colour(label), width=line)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _label(canvas: ImageDraw.ImageDraw, x: float, y: float, text: str) -> None:
    canvas.text((x, y), text, fill="white", font=_font(20), stroke_width=2, stroke_fill="black")


def _sheet(overview: Image.Image, panels: Sequence[Image.Image], boxes: _Boxes) -> Image.Image:
    side = panels[0].width if panels else 0
    width = overview.width + (side + _GAP if panels else 0)
    stacked = len(panels) * (side + _GAP) - _GAP
    body = max(overview.height, stacked if panels else 0)
    legend = _legend(boxes, width)
    sheet = Image.new("RGB", (width, body + legend.height), _BACKGROUND)
    sheet.paste(overview, (0, 0))
    for row, panel in enumerate(panels):
        sheet.paste(panel, (overview.width + _GAP, row * (side + _GAP)))
    sheet.paste(legend, (0, body))
    return sheet


def _legend(boxes: _Boxes, width: int) -> Image.Image:
    font, line = _font(18), 30
    total = len(boxes.xyxy)
    entries: list[tuple[str | None, str]] = [(None, f"{total} object{'' if total == 1 else 's'}")]
    for class_id, n in zip(*np.unique(boxes.class_id, return_counts=True), strict=True):
        entries.append((class_colour(int(class_id)), f"{boxes.names[int(class_id)]}  {n}"))
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

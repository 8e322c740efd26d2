"""Synthetic clutter: drawings of roof units, vents, skylights and panels, to be pasted with a shadow.

Detectors of vehicles most often confuse them with vehicles, and few labelled images show many roofs.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from nssa_gis.train.paste import CutOut

#: Metres per pixel of the drawings: finer than any image that they are pasted on.
_GSD = 0.05
#: Free border in pixels.
_BORDER = 6
#: Metres: shorter sides of roof units, diameters of vents, shorter sides of skylights and panels.
_UNIT, _VENT, _PANE = (0.8, 1.6), (0.3, 0.9), (0.6, 1.4)
#: Maximum of the longer side, in shorter sides. It gives at most 2.2 m; the smallest cars have 2.7 m.
_LONGEST = 1.4


def draw_clutter(number: int, seed: int = 0) -> list[CutOut]:
    """Draw clutter.

    Parameters
    ----------
    number : int
        Number of drawings.
    seed : int
        Seed of their shapes and tones.

    Returns
    -------
    list of CutOut
        RGBA at 0.05 m per pixel; label -1.
    """
    rng = np.random.default_rng(seed)
    makers = (_unit, _unit, _vent, _pane)
    drawings = (np.asarray(makers[k % len(makers)](rng)) for k in range(number))
    return [CutOut(np.ascontiguousarray(drawing.transpose(2, 0, 1)), _GSD, -1) for drawing in drawings]


def _tone(rng: Generator, low: float = 20, high: float = 250) -> tuple[int, int, int]:
    """Return a grey with a slight colour cast."""
    r, g, b = (rng.uniform(low, high) + rng.normal(0, 8, 3)).clip(0, 255).astype(int)
    return int(r), int(g), int(b)


_Box = tuple[float, float, float, float]


def _sheet(width: float, height: float, tone: tuple[int, int, int]) -> tuple[Image.Image, _Box]:
    """Return a transparent sheet with room for a body of this size and tone, and the box of the body on it."""
    w, h = round(width / _GSD), round(height / _GSD)
    # the transparent pixels have the tone of the body, so that its softened edge does not mix with black
    sheet = Image.new("RGBA", (w + 2 * _BORDER, h + 2 * _BORDER), (*tone, 0))
    return sheet, (_BORDER, _BORDER, _BORDER + w - 1, _BORDER + h - 1)


def _sides(rng: Generator, shorter: tuple[float, float]) -> tuple[float, float]:
    short = rng.uniform(*shorter)
    return float(short * rng.uniform(1, _LONGEST)), float(short)


def _inner(box: _Box, inset: float) -> _Box:
    """Return a box without a border; the border is a share of its height."""
    x0, y0, x1, y1 = box
    width = inset * (y1 - y0)
    return x0 + width, y0 + width, x1 - width, y1 - width


def _unit(rng: Generator) -> Image.Image:
    """Draw an air conditioner from above: a box with a lid and fans."""
    body = _tone(rng, 60)
    sheet, box = _sheet(*_sides(rng, _UNIT), body)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle(box, fill=(*body, 255))
    lid = _inner(box, rng.uniform(0.05, 0.2))
    if rng.random() < 0.6:
        draw.rectangle(lid, fill=(*_tone(rng), 255))
    fans = int(rng.integers(0, 3))
    x0, y0, x1, y1 = box
    step = (x1 - x0) / max(fans, 1)
    radius = 0.38 * min(step, y1 - y0)
    for k in range(fans):
        x, y = x0 + (k + 0.5) * step, (y0 + y1) / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*_tone(rng, 10, 120), 255))
    return _softened(rng, sheet)


def _vent(rng: Generator) -> Image.Image:
    """Draw a round vent cap, sometimes with a darker opening."""
    size, cap = rng.uniform(*_VENT), _tone(rng)
    sheet, box = _sheet(size, size, cap)
    draw = ImageDraw.Draw(sheet)
    draw.ellipse(box, fill=(*cap, 255))
    if rng.random() < 0.5:
        draw.ellipse(_inner(box, 0.25), fill=(*_tone(rng, 10, 90), 255))
    return _softened(rng, sheet)


def _pane(rng: Generator) -> Image.Image:
    """Draw a skylight or a panel: a framed pane that is dark, blue or bright."""
    frame = _tone(rng, 90)
    sheet, box = _sheet(*_sides(rng, _PANE), frame)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle(box, fill=(*frame, 255))
    inner = _inner(box, rng.uniform(0.06, 0.15))
    pane = _tone(rng, 10, 90) if rng.random() < 0.7 else _tone(rng, 190)
    draw.rectangle(inner, fill=(*pane[:2], min(pane[2] + 20, 255), 255))
    return _softened(rng, sheet)


def _softened(rng: Generator, sheet: Image.Image) -> Image.Image:
    return sheet.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 2.0))))

"""The bands for the model, and the scaling of their values to 0 to 255: one scaling for the whole scene."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.raster.coverage import written_blocks
from nssa_gis.raster.scene import Box, Scene

_log = logging.getLogger(__name__)

#: The percentiles of the valid pixels that become 0 and 255.
LOW, HIGH = 0.5, 99.5

_RGB = ("red", "green", "blue")
#: Scenes without overviews are read completely for the statistics up to this many pixels.
_WHOLE = 1 << 24
#: Approximate number of pixels in the statistics.
_SAMPLE = 1 << 20
#: Blocks read for the statistics of a large scene; more where the first hold fewer valid pixels than are enough.
_BLOCKS, _ENOUGH = (144, 1156), 10_000
#: Share of the pixels from which on one value in all bands is a collar or saturation, if it lies apart from all others
#: by this share of their range, or whatever lies beside it if it is held by many.
_COLLAR, _APART, _MANY = 0.01, 0.05, 0.25
#: Such values that one end of the range may have.
_MOST_COLLARS = 2


@dataclass(frozen=True, eq=False)
class Scaling:
    """Raw values to uint8, the same everywhere in the scene.

    Attributes
    ----------
    bands : tuple of int
        Bands for the model, from 1; repeats are allowed.
    reads : tuple of int
        Bands to read for that.
    channels : tuple of int
        For each of ``bands``, its place among the channels that `convert` makes.
    lo, hi : tuple of float
        For each of ``reads``, the values that become 0 and 255; empty for uint8, which is not scaled.
    palette : ndarray of uint8, shape (n, 4), or None
        Colours and opacity of a palette image.
    warnings : tuple of str
        What the user should know of the values.
    """

    bands: tuple[int, ...]
    reads: tuple[int, ...]
    channels: tuple[int, ...]
    lo: tuple[float, ...] = ()
    hi: tuple[float, ...] = ()
    palette: NDArray[np.uint8] | None = None
    warnings: tuple[str, ...] = ()

    def convert(
        self, array: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Scale raw pixels without repeating bands.

        Parameters
        ----------
        array : ndarray, shape (len(reads), H, W)
        valid : ndarray of bool, shape (H, W), or None

        Returns
        -------
        pixels : ndarray of uint8, shape (channels, H, W)
            0 where invalid.
        valid : ndarray of bool or None
            Transparent palette entries are invalid.
        """
        if self.palette is not None:
            colours = self.palette[np.minimum(array[0], len(self.palette) - 1)]
            if (self.palette[:, 3] == 0).any():
                opaque = colours[..., 3] > 0
                valid = opaque if valid is None else valid & opaque
            pixels = np.ascontiguousarray(np.moveaxis(colours[..., :3], -1, 0))
        elif not self.lo:
            pixels = array.astype(np.uint8)
        else:
            pixels = np.empty(array.shape, np.uint8)
            for out, band, lo, hi in zip(pixels, array, self.lo, self.hi, strict=True):
                out[:] = _stretch(band, lo, hi)
        if valid is not None:
            pixels *= valid
        return pixels, valid


def choose_bands(scene: Scene, asked: Sequence[int] | None, wanted: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Choose the bands for a model.

    Parameters
    ----------
    scene : Scene
    asked : sequence of int or None
        The choice of the user, from 1.
    wanted : int
        Bands of the model.

    Returns
    -------
    bands : tuple of int
        ``wanted`` numbers from 1: the user's choice, else by the names or colours that the file declares, else the
        first ones. A single band is repeated.
    warnings : tuple of str
        Warnings about the choice.

    Raises
    ------
    UsageError
        ``asked`` has a band that does not exist, or too few or too many bands.
    NssaError
        The scene has fewer bands than the model needs.
    """
    _log.debug("%d bands %s named %s", scene.count, scene.color_interp, scene.band_names)
    if asked is not None:
        return _asked_bands(scene, tuple(asked), wanted)
    pickable = [b for b in range(1, scene.count + 1) if scene.color_interp[b - 1] != "alpha"]
    if scene.palette is not None and wanted == 3:
        return (1, 1, 1), ()
    if len(pickable) == 1 and wanted > 1:
        note = f"{scene.path}: it has one grey band, used for all {wanted} bands of the model; expect less accuracy"
        return (pickable[0],) * wanted, (note,)
    if len(pickable) < wanted:
        raise NssaError(
            f"{scene.path}: it has {len(pickable)} bands and the model needs {wanted}; "
            f"choose with --bands, for example --bands {','.join(['1'] * wanted)}"
        )
    first = tuple(pickable[:wanted])
    if wanted != 3:
        return first, ()
    for declared in (scene.color_interp, tuple(name.strip().lower() for name in scene.band_names)):
        if all(colour in declared for colour in _RGB):
            return tuple(declared.index(colour) + 1 for colour in _RGB), ()
    note = (
        f"{scene.path}: {len(pickable)} bands without declared colours; bands {_listed(first)} are used "
        f"as red, green and blue; choose others with --bands"
    )
    return first, (note,) if len(pickable) > 3 else ()


def scaling_for(
    scene: Scene,
    bands: Sequence[int],
    value_range: Sequence[tuple[float, float]] | None = None,
) -> Scaling:
    """Find the scaling of a scene.

    uint8 stays as it is. Other types are stretched band by band from ``value_range``, else from
    percentiles 0.5 to 99.5 of about a million valid pixels of the full resolution: of the whole of a small scene, of
    blocks spread over a large one. Pixels that are 0 in all bands (an undeclared collar) do not count, nor do those of
    another undeclared collar and saturated ones: a value at the end of the range that many pixels hold in all bands.

    Parameters
    ----------
    scene : Scene
    bands : sequence of int
        From `choose_bands`.
    value_range : sequence of (low, high), or None
        Raw values that become 0 and 255: one pair for all bands, or one for each of ``bands``; not used for uint8. A
        model package declares it (:class:`nssa_gis.runtime.package.ModelInfo`).

    Raises
    ------
    UsageError
        ``value_range`` has another number of pairs, or a low value that is not below the high one.
    NssaError
        The pixels cannot be read.
    """
    bands = tuple(int(b) for b in bands)
    if scene.palette is not None and bands == (1, 1, 1):
        return Scaling(bands, (1,), (0, 1, 2), palette=scene.palette)
    reads = tuple(dict.fromkeys(bands))
    channels = tuple(reads.index(b) for b in bands)
    if scene.dtype == np.uint8:
        return Scaling(bands, reads, channels)
    warnings: tuple[str, ...] = ()
    if value_range is not None:
        pairs = np.asarray(value_range, np.float64)
        if len(pairs) not in (1, len(bands)):
            raise UsageError(f"value range of {len(pairs)} pairs: give one pair, or one for each of {len(bands)} bands")
        if not (pairs[:, 0] < pairs[:, 1]).all():
            raise UsageError(f"value range {value_range}: the first number must be below the second")
        limits = np.broadcast_to(pairs, (len(bands), 2))[[bands.index(b) for b in reads]]
    else:
        limits, warnings = _percentiles(scene, reads)
    lows, highs = limits.T.tolist()
    source = "percentiles" if value_range is None else "the declared value range"
    _log.debug("bands %s become 0 and 255 at %s and %s, from %s", reads, lows, highs, source)
    return Scaling(bands, reads, channels, tuple(lows), tuple(highs), warnings=warnings)


def _asked_bands(scene: Scene, asked: tuple[int, ...], wanted: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    if len(asked) == 1 and wanted > 1:
        asked = asked * wanted
    if len(asked) != wanted:
        raise UsageError(f"--bands {_listed(asked)}: the model needs {wanted} bands")
    missing = [b for b in asked if not 1 <= b <= scene.count]
    if missing:
        raise UsageError(f"--bands {_listed(asked)}: {scene.path} has bands 1 to {scene.count}")
    return asked, ()


def _listed(bands: Sequence[int]) -> str:
    return ",".join(str(b) for b in bands)


def _stretch(band: NDArray[Any], lo: float, hi: float) -> NDArray[np.uint8]:
    # float32 has 24 bits: exact for 16-bit integers. Wider values are first moved near zero in float64.
    wide = band.dtype.itemsize > 4 or (band.dtype.kind in "iu" and band.dtype.itemsize == 4)
    values = band.astype(np.float64 if wide else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite values are handled below
        values -= lo
        values *= 255.0 / (hi - lo)
    np.nan_to_num(values, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    np.clip(values, 0, 255, out=values)
    values += 0.5
    return values.astype(np.uint8)


def _percentiles(scene: Scene, reads: tuple[int, ...]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Values (len(reads), 2) that become 0 and 255, and warnings."""
    values = _sample(scene, reads)
    if values.shape[1] == 0:
        return np.tile([0.0, 1.0], (len(reads), 1)), ()
    lit = values.any(axis=0)
    if lit.any():
        values = values[:, lit]
    values, warnings = _without_collars(scene, values)
    limits: NDArray[np.float64] = np.percentile(values.astype(np.float64), [LOW, HIGH], axis=1).T
    flat = limits[:, 0] >= limits[:, 1]
    limits[flat] = np.stack([values.min(axis=1), values.max(axis=1)], axis=1)[flat]
    limits[:, 1] = np.where(limits[:, 1] > limits[:, 0], limits[:, 1], limits[:, 0] + 1)
    return limits, warnings


def _without_collars(scene: Scene, values: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Leave out values (bands, n) at an end of the range that many pixels hold in all bands, and say so."""
    warnings = []
    total = values.shape[1]
    for end in (np.min, np.max) * _MOST_COLLARS:
        value = end(values)
        held = (values == value).all(axis=0)
        share = np.count_nonzero(held) / total
        if share < _COLLAR or held.all():
            continue
        rest = values[:, ~held].astype(np.float64)
        apart = abs(float(end(rest)) - float(value)) > _APART * (rest.max() - rest.min())
        if apart or share > _MANY:
            values = values[:, ~held]
            warnings.append(
                f"{scene.path}: about {share:.0%} of the pixels hold {value:g} in all bands, which is not declared as "
                "nodata; they are left out of the scaling (gdal_edit -a_nodata declares it)"
            )
    return values, tuple(warnings)


def _sample(scene: Scene, reads: tuple[int, ...]) -> NDArray[Any]:
    """Read valid pixels (len(reads), n) of the full resolution, spread over the scene."""
    width, height = scene.frame.width, scene.frame.height
    with scene.open_handle() as handle:
        if width * height <= _WHOLE:
            boxes = [(0, y, width, min(y + 512, height)) for y in range(0, height, 512)]
            return _valid_pixels(scene, handle, reads, boxes, max(1, round((width * height / _SAMPLE) ** 0.5)))
        for blocks in _BLOCKS:
            found = _valid_pixels(scene, handle, reads, *_spread_boxes(scene, reads, blocks))
            if found.shape[1] >= _ENOUGH:
                break
        return found


def _valid_pixels(
    scene: Scene, handle: rasterio.DatasetReader, reads: tuple[int, ...], boxes: Sequence[Box], stride: int
) -> NDArray[Any]:
    parts = []
    for box in boxes:
        pixels, valid = scene.read(handle, reads, box)
        pixels = pixels[:, ::stride, ::stride]
        parts.append(pixels.reshape(len(reads), -1) if valid is None else pixels[:, valid[::stride, ::stride]])
    return np.concatenate(parts, axis=1) if parts else np.empty((len(reads), 0))


def _spread_boxes(scene: Scene, reads: tuple[int, ...], most: int) -> tuple[list[Box], int]:
    """Choose about ``most`` of the blocks that the file holds, evenly spread, and a stride for large ones."""
    width, height = scene.block
    blocks = written_blocks(scene, reads)
    if blocks is None:
        rows, cols = -(-scene.frame.height // height), -(-scene.frame.width // width)
        across = min(cols, math.isqrt(most))
        down = min(rows, most // across)
        row = np.repeat(_evenly(rows, down), across)
        col = np.tile(_evenly(cols, across), down)
    else:
        written = np.flatnonzero(blocks)
        row, col = np.divmod(written[_evenly(len(written), min(len(written), most))], blocks.shape[1])
    stride = max(1, round((len(row) * width * height / _SAMPLE) ** 0.5))
    boxes = [
        (int(x), int(y), min(int(x) + width, scene.frame.width), min(int(y) + height, scene.frame.height))
        for x, y in zip(col * width, row * height, strict=True)
    ]
    return boxes, stride


def _evenly(count: int, number: int) -> NDArray[np.int64]:
    return ((np.arange(number) + 0.5) * count / max(number, 1)).astype(np.int64)

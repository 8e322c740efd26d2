"""The bands for the model, and the scaling of their values to 0 to 255: one scaling for the whole scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.raster.coverage import written_blocks
from nssa_gis.raster.scene import Box, Scene

#: The percentiles of the valid pixels that become 0 and 255.
LOW, HIGH = 0.5, 99.5

_RGB = ("red", "green", "blue")
#: Scenes without overviews are read completely for the statistics up to this many pixels.
_WHOLE = 1 << 24
#: Approximate number of pixels in the statistics.
_SAMPLE = 1 << 20


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
    """

    bands: tuple[int, ...]
    reads: tuple[int, ...]
    channels: tuple[int, ...]
    lo: tuple[float, ...] = ()
    hi: tuple[float, ...] = ()
    palette: NDArray[np.uint8] | None = None

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

    uint8 is not scaled. Other types are scaled for each band from ``value_range``, else from the percentiles 0.5 and
    99.5 of about a million valid pixels. These come from an overview, else from a whole small scene, else from blocks
    spread over a large one. Pixels that are 0 in all bands (an undeclared collar) are left out.

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
    if value_range is not None:
        pairs = np.asarray(value_range, np.float64)
        if len(pairs) not in (1, len(bands)):
            raise UsageError(f"value range of {len(pairs)} pairs: give one pair, or one for each of {len(bands)} bands")
        if not (pairs[:, 0] < pairs[:, 1]).all():
            raise UsageError(f"value range {value_range}: the first number must be below the second")
        limits = np.broadcast_to(pairs, (len(bands), 2))[[bands.index(b) for b in reads]]
    else:
        limits = _percentiles(scene, reads)
    return Scaling(bands, reads, channels, tuple(limits[:, 0].tolist()), tuple(limits[:, 1].tolist()))


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


def _percentiles(scene: Scene, reads: tuple[int, ...]) -> NDArray[np.float64]:
    """Values (len(reads), 2) that become 0 and 255."""
    parts = list(_sample(scene, reads))
    values = np.concatenate(parts, axis=1) if parts else np.empty((len(reads), 0))
    if values.shape[1] == 0:
        return np.tile([0.0, 1.0], (len(reads), 1))
    lit = values.any(axis=0)
    if lit.any():
        values = values[:, lit]
    limits: NDArray[np.float64] = np.percentile(values.astype(np.float64), [LOW, HIGH], axis=1).T
    flat = limits[:, 0] >= limits[:, 1]
    limits[flat] = np.stack([values.min(axis=1), values.max(axis=1)], axis=1)[flat]
    limits[:, 1] = np.where(limits[:, 1] > limits[:, 0], limits[:, 1], limits[:, 0] + 1)
    return limits


def _sample(scene: Scene, reads: tuple[int, ...]) -> Iterator[NDArray[Any]]:
    """Read valid pixels (len(reads), n) in parts that are spread over the scene."""
    width, height = scene.frame.width, scene.frame.height
    fits = [i for i, f in enumerate(scene.overview_factors) if width * height / f**2 <= 4 * _SAMPLE]
    with scene.open_handle(fits[0] if fits else None) as handle:
        size = handle.width * handle.height
        if size <= _WHOLE:
            boxes = [(0, y, handle.width, min(y + 512, handle.height)) for y in range(0, handle.height, 512)]
            stride = max(1, round((size / _SAMPLE) ** 0.5))
        else:
            boxes, stride = _spread_boxes(scene, reads)
        for box in boxes:
            pixels, valid = scene.read(handle, reads, box)
            pixels = pixels[:, ::stride, ::stride]
            yield (pixels[:, valid[::stride, ::stride]] if valid is not None else pixels.reshape(len(reads), -1))


def _spread_boxes(scene: Scene, reads: tuple[int, ...]) -> tuple[list[Box], int]:
    """Choose about 144 of the stored blocks, evenly spread, and a stride for large ones."""
    width, height = scene.block
    blocks = written_blocks(scene, reads)
    if blocks is None:
        rows, cols = -(-scene.frame.height // height), -(-scene.frame.width // width)
        across = min(cols, 12)
        down = min(rows, 144 // across)
        row = np.repeat(_evenly(rows, down), across)
        col = np.tile(_evenly(cols, across), down)
    else:
        written = np.flatnonzero(blocks)
        row, col = np.divmod(written[_evenly(len(written), min(len(written), 144))], blocks.shape[1])
    stride = max(1, round((len(row) * width * height / _SAMPLE) ** 0.5))
    boxes = [
        (int(x), int(y), min(int(x) + width, scene.frame.width), min(int(y) + height, scene.frame.height))
        for x, y in zip(col * width, row * height, strict=True)
    ]
    return boxes, stride


def _evenly(count: int, number: int) -> NDArray[np.int64]:
    return ((np.arange(number) + 0.5) * count / max(number, 1)).astype(np.int64)

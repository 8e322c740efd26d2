"""Periodic fractal noise, sampled in ground metres so that neighbouring blocks agree exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def spectral_noise(
    n: int, exponent: float, rng: np.random.Generator, low: float = 0.0, high: float = 0.5
) -> np.ndarray:
    """Draw an n x n periodic field with a power-law spectrum.

    Parameters
    ----------
    n : int
        Side in cells.
    exponent : float
        The amplitude falls as ``frequency ** -exponent``.
    rng : numpy.random.Generator
        Source of randomness.
    low, high : float
        Pass band in cycles per cell.

    Returns
    -------
    numpy.ndarray
        float32 (n, n), mean 0, standard deviation 1, clipped to +-3.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((n, n)).astype(np.float32))
    fy = np.fft.fftfreq(n)[:, None]
    fx = np.fft.rfftfreq(n)[None, :]
    f = np.hypot(fx, fy)
    gain = np.where((f > low) & (f <= high), np.maximum(f, 1.0 / n) ** -exponent, 0.0)
    field = np.fft.irfft2(spectrum * gain, s=(n, n))
    field = (field - field.mean()) / field.std()
    return np.clip(field, -3.0, 3.0).astype(np.float32)


@dataclass(frozen=True)
class NoiseTile:
    """A periodic noise field with a cell size in metres."""

    field: np.ndarray
    cell: float

    def nearest(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Sample on the grid x (W,) by y (H,), metres, without interpolation; float32 (H, W)."""
        n = self.field.shape[0]
        ix = np.floor(x / self.cell).astype(np.int64) % n
        iy = np.floor(y / self.cell).astype(np.int64) % n
        return self.field[np.ix_(iy, ix)]

    def smooth(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Sample on the grid x (W,) by y (H,), metres, bilinearly; float32 (H, W)."""
        n = self.field.shape[0]
        gx, gy = x / self.cell, y / self.cell
        ix, iy = np.floor(gx).astype(np.int64), np.floor(gy).astype(np.int64)
        tx = (gx - ix).astype(np.float32)[None, :]
        ty = (gy - iy).astype(np.float32)[:, None]
        rows = self.field[iy % n] * (1 - ty) + self.field[(iy + 1) % n] * ty
        return rows[:, ix % n] * (1 - tx) + rows[:, (ix + 1) % n] * tx


@dataclass(frozen=True)
class NoiseBank:
    """Noise of three scales: grain of centimetres, mottling of metres, drift of tens of metres."""

    fine: NoiseTile
    mid: NoiseTile
    broad: NoiseTile

    @staticmethod
    def create(seed: int) -> NoiseBank:
        """Make the bank of one town."""
        rng = np.random.default_rng([seed, 11])
        return NoiseBank(
            NoiseTile(spectral_noise(1024, 0.6, rng, low=0.02), 0.07),
            NoiseTile(spectral_noise(1024, 1.0, rng, low=0.012), 0.35),
            NoiseTile(spectral_noise(512, 1.5, rng), 2.0),
        )


def box_blur(field: np.ndarray, radius: int) -> np.ndarray:
    """Average over (2 radius + 1) squared cells with edge replication; field (H, W) float32."""
    size = 2 * radius + 1
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(field, pad, mode="edge"), axis=axis, dtype=np.float64)
        if axis == 0:
            field = ((total[size:] - total[:-size]) / size).astype(np.float32)
        else:
            field = ((total[:, size:] - total[:, :-size]) / size).astype(np.float32)
    return field


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur an image (H, W) or (H, W, C) by a Gaussian of ``sigma`` pixels with edge replication."""
    radius = max(1, int(np.ceil(3 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        pad = [(0, 0)] * image.ndim
        pad[axis] = (radius, radius)
        padded = np.pad(image, pad, mode="edge")
        n = image.shape[axis]
        out = np.zeros_like(image)
        for k, tap in enumerate(taps):
            out += tap * (padded[k : k + n] if axis == 0 else padded[:, k : k + n])
        image = out
    return image

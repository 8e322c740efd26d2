"""The camera: optics, haze, tone curve, sharpening and noise."""

from __future__ import annotations

import numpy as np

from .noise import gaussian_blur


def photograph(radiance: np.ndarray, seed: int) -> np.ndarray:
    """Turn linear radiance into a picture.

    Parameters
    ----------
    radiance : numpy.ndarray
        float32 (H, W, 3), 1 for white level ground in the sun.
    seed : int
        Seed of the camera's settings and noise.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3).
    """
    rng = np.random.default_rng([seed, 5])
    h, w, _ = radiance.shape
    image: np.ndarray = gaussian_blur(radiance, float(rng.uniform(0.6, 0.75)))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / max(h, w) - 0.5
    a = rng.uniform(0, 2 * np.pi)
    gradient = 1 + rng.uniform(0.03, 0.08) * (x * np.cos(a) + y * np.sin(a)) * 2
    image *= gradient.astype(np.float32)[..., None] * np.float32(rng.uniform(0.98, 1.12))
    image += np.array([0.011, 0.0135, 0.018], np.float32) * np.float32(rng.uniform(0.7, 1.8))
    # Shot noise grows with the root of the signal; a little of it spreads over neighbours (demosaicing).
    grains = rng.standard_normal((h, w, 3), dtype=np.float32)
    noise = 0.6 * grains + 0.9 * gaussian_blur(grains, 0.6)
    image += 0.008 * np.sqrt(np.maximum(image, 0.002)) * noise
    image = np.clip(image, 0, None)
    # A soft shoulder keeps white roofs below clipping.
    image = image / (1 + 0.10 * image**2)
    display = np.clip(image, 0, 1) ** np.float32(1 / 2.2)
    luma = display @ np.array([0.3, 0.59, 0.11], np.float32)
    display = luma[..., None] + np.float32(rng.uniform(0.74, 0.92)) * (display - luma[..., None])
    display += np.float32(rng.uniform(0.2, 0.4)) * (display - gaussian_blur(display, 1.0))
    grain = rng.standard_normal((h, w, 1), dtype=np.float32) * 0.004
    return np.clip(np.rint((display + grain) * 255), 0, 255).astype(np.uint8)

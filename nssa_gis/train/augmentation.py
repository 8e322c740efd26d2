"""Colour and sensor augmentation of uint8 RGB arrays."""

from __future__ import annotations

import io

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def recolour(rng: Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Random brightness, contrast, gamma, colour cast, saturation, haze; sometimes grey or false colour.

    Parameters
    ----------
    rng : Generator
        Randomness.
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Per-channel curves run as a 256-entry table: the cost does not depend on how many of them apply.
    """
    if rng.random() < 0.08:
        # false colour, as colour-infrared composites: channels change places
        pixels = pixels[..., rng.permutation(3)]
    grey = rng.random() < 0.15
    saturation = 0.0 if grey else rng.uniform(0.6, 1.4)
    if grey or rng.random() < 0.5:
        values = pixels.astype(np.float32)
        light = (values @ _GREY)[..., None]
        pixels = np.clip(light + saturation * (values - light), 0, 255).astype(np.uint8)
    tone = np.arange(256, dtype=np.float32) / 255
    curve = tone ** np.exp(rng.uniform(-0.4, 0.4))
    curve = (curve - 0.5) * np.exp(rng.uniform(-0.35, 0.3)) + 0.5 + rng.uniform(-0.12, 0.12)
    if rng.random() < 0.15:
        haze = rng.uniform(0.1, 0.4)
        curve = curve * (1 - haze) + haze * rng.uniform(0.6, 0.95)
    cast = np.ones(3) if grey else np.exp(rng.uniform(-0.12, 0.12, 3))
    table = np.clip(curve[:, None] * cast * 255, 0, 255).astype(np.uint8)
    return np.stack([table[pixels[..., c], c] for c in range(3)], -1)


def degrade(rng: Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Random blur, noise and JPEG compression of a whole crop.

    Parameters
    ----------
    rng : Generator
        Randomness.
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
    """
    if rng.random() < 0.3:
        blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.1))))
        pixels = np.asarray(blurred)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(1, 8), (*pixels.shape[:2], 1)).astype(np.float32)
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(35, 90)))
        with Image.open(buffer) as opened:
            pixels = np.asarray(opened)
    return pixels

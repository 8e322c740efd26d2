"""Colour and sensor augmentation of uint8 RGB arrays."""

from __future__ import annotations

import io

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def recolour(rng: Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Random brightness, contrast, gamma, colour cast, saturation, stretch, haze; sometimes grey or false colour.

    Parameters
    ----------
    rng : Generator
        Randomness.
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The curves of a channel are combined in one table of 256 entries, so their number does not change the cost.
    """
    kind = rng.random()
    if kind < 0.05:
        pixels = pixels[..., rng.permutation(3)]
    elif kind < 0.13:
        pixels = infrared(rng, pixels)
    grey = rng.random() < 0.2
    saturation = 0.0 if grey else rng.uniform(0.6, 1.4)
    if grey or rng.random() < 0.5:
        values = pixels.astype(np.float32)
        light = (values @ _GREY)[..., None]
        pixels = np.clip(light + saturation * (values - light), 0, 255).astype(np.uint8)
    tone = np.arange(256, dtype=np.float32) / 255
    curve = tone ** np.exp(rng.uniform(-0.4, 0.4))
    curve = (curve - 0.5) * np.exp(rng.uniform(-0.35, 0.3)) + 0.5 + rng.uniform(-0.12, 0.12)
    if rng.random() < 0.15:
        # a percentile stretch of 16-bit imagery: both ends saturate
        low, high = rng.uniform(0, 0.15), rng.uniform(0.7, 1)
        curve = ((curve - low) / (high - low)).clip(0, 1)
    if rng.random() < 0.15:
        haze = rng.uniform(0.1, 0.4)
        curve = curve * (1 - haze) + haze * rng.uniform(0.6, 0.95)
    cast = np.ones(3) if grey else np.exp(rng.uniform(-0.12, 0.12, 3))
    table = np.clip(curve[:, None] * cast * 255, 0, 255).astype(np.uint8)
    return np.stack([table[pixels[..., c], c] for c in range(3)], -1)


def infrared(rng: Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Imitate a colour-infrared composite: near infrared, red and green shown as red, green and blue.

    Near infrared is estimated: bright where green exceeds red and blue (plants), elsewhere equal to green.
    """
    values = pixels.astype(np.float32)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    plant = (2 * green - red - blue).clip(0)
    near = green * rng.uniform(0.8, 1.1) + plant * rng.uniform(1.5, 5.0)
    return np.stack((near, red, green), -1).clip(0, 255).astype(np.uint8)


def shade(rng: Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sometimes darken a part of the crop like the shadow of a tall object, slightly blue.

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
    if rng.random() > 0.2:
        return pixels
    height, width = pixels.shape[:2]
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(1, 4))):
        # a quadrilateral around a random centre: a house, a wall, a tree
        angles = np.sort(rng.uniform(0, 2 * np.pi, 4))
        reach = rng.uniform(0.1, 0.45, 4) * width
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        draw.polygon([(x + r * np.cos(a), y + r * np.sin(a)) for a, r in zip(angles, reach, strict=True)], fill=255)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 2.0)))), np.float32)[..., None] / 255
    dark = rng.uniform(0.25, 0.65) * np.array([1.0, 1.05, 1.15], np.float32)
    darkened: NDArray[np.uint8] = (pixels * (1 - soft * (1 - dark))).clip(0, 255).astype(np.uint8)
    return darkened


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

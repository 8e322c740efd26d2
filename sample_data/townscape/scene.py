"""From a seed to a picture and its truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from shapely.ops import substring

from . import blocks, roads, traffic
from .camera import photograph
from .land import plant, points_in
from .light import Sun
from .noise import NoiseBank
from .output import truth_boxes
from .plan import Hedge, Item, Town
from .render import Painter
from .roads import Net, offset_points


def lay_out(seed: int, extent: float) -> tuple[Town, Net]:
    """Plan a town of ``extent`` metres square."""
    rng = np.random.default_rng([seed, 1])
    net = Net(extent, rng)
    town = Town(extent, roads=net.roads)
    roads.mark_roads(town, net, rng)
    blocks.fill(town, net.blocks, rng)
    _street_trees(town, net, rng)
    _shores(town, net, rng)
    traffic.drive(town, net, rng)
    return town, net


def _street_trees(town: Town, net: Net, rng: np.random.Generator) -> None:
    """Rows of trees in the sidewalks, lamp posts and bus shelters."""
    for road in net.roads:
        rows = {"arterial": 0.8, "collector": 0.5, "street": 0.15}[road.kind]
        for side in (-1, 1):
            if rng.random() > rows:
                continue
            pitch = rng.uniform(9, 15)
            for piece in road.pieces:
                along = np.arange(6.0, piece.length - 6.0, pitch)
                p, a = offset_points(piece, along, side * (road.width / 2 + min(1.3, road.sidewalk / 2)))
                for (x, y), b in zip(p, a, strict=True):
                    if rng.random() < 0.75:
                        plant(town, x, y, rng, float(rng.uniform(1.3, 3.1)), 0.0)
                    elif rng.random() < 0.5:
                        town.items.append(Item(x, y, b, 0.25, 0.25, 7.0, "pole", (140, 140, 140), 1))
    x, y, inner, _ = net.roundabout
    for _ in range(9):
        turn, r = rng.uniform(0, 2 * np.pi), inner * 0.75 * np.sqrt(rng.random())
        plant(town, x + r * np.cos(turn), y + r * np.sin(turn), rng, float(rng.uniform(0.5, 2.4)), 0.2)


def _shores(town: Town, net: Net, rng: np.random.Generator) -> None:
    """Trees and bushes along water and rails, railings on bridges."""
    keep_off = net.corridor.buffer(1.5)
    for strip, wet in (
        (net.bank.difference(net.water.buffer(1.0)), 1),
        (net.rail.difference(net.rail.buffer(-1.6)), 0),
    ):
        strip = strip.intersection(net.domain).difference(keep_off)
        for x, y in points_in(strip, int(strip.area / (55 if wet else 30)), rng):
            radius = float(rng.uniform(0.6, 3.4) if wet else rng.uniform(0.4, 1.3))
            plant(town, x, y, rng, radius, 0.05)
    for shore in roads.polygons_of(net.water.intersection(net.domain)):
        d = 0.0
        while d < shore.exterior.length - 12:
            reach = rng.uniform(2, 12)
            if rng.random() < 0.35:
                reeds = substring(shore.exterior, d, d + reach).buffer(rng.uniform(0.4, 1.1)).difference(keep_off)
                town.hedges.append(Hedge(reeds, float(rng.uniform(0.3, 1.0)), "reeds"))
            d += reach
    for road in net.roads:
        over = road.line.intersection(net.water.buffer(3))
        for part in roads.lines_of(over, 4):
            for side in (-1, 1):
                rail = part.offset_curve(side * (road.width / 2 + road.sidewalk - 0.15)).buffer(0.14)
                town.hedges.append(Hedge(rail, 1.3, "fence"))


def make_town(seed: int, size: int, gsd: float) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Draw a town.

    Parameters
    ----------
    seed : int
        Another seed gives another town.
    size : int
        Side of the picture in pixels.
    gsd : float
        Metres per pixel.

    Returns
    -------
    tuple
        The picture, uint8 (size, size, 3), and the truth records of ``output.truth_boxes``.
    """
    town, net = lay_out(seed, size * gsd)
    sun = Sun.create(np.random.default_rng([seed, 2]))
    painter = Painter(town, net, NoiseBank.create(seed), sun, gsd)
    image = photograph(painter.picture(size), seed)
    return image, truth_boxes(town.vehicles, painter.visible_share(), size, gsd)

"""Block by block: paint everything that touches a block, light it, and average it down to pixels."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon, box

from . import buildings, plants, surfaces, vehicles
from .canvas import Canvas, Slices, linear
from .light import Sun, illuminate
from .noise import NoiseBank
from .plan import Ground, Town
from .roads import Net, rails

OVERSAMPLING = 3
CORE = 480
TALLEST = 21.0


class Painter:
    """Draws one town.

    Parameters
    ----------
    town : Town
        The objects of the town.
    net : Net
        Streets, water and rails.
    bank : NoiseBank
        Noise.
    sun : Sun
        Light.
    gsd : float
        Metres per pixel.
    """

    def __init__(self, town: Town, net: Net, bank: NoiseBank, sun: Sun, gsd: float) -> None:
        self.town, self.net, self.bank, self.sun, self.gsd = town, net, bank, sun, gsd
        self.beds, self.sleepers = rails(net)
        reach = int(np.ceil(sun.reach(TALLEST) / gsd)) + 6
        # Only objects on the sunny side cast shadows into a block.
        self.before = (int(reach * max(0, -sun.dy)) + 8, int(reach * max(0, -sun.dx)) + 8)
        self.after = (int(reach * max(0, sun.dy)) + 8, int(reach * max(0, sun.dx)) + 8)
        n = len(town.vehicles) + 1
        self.painted = np.zeros(n, np.int64)
        self.visible = np.zeros(n, np.int64)

    def picture(self, size: int) -> np.ndarray:
        """Draw the whole town; linear radiance, float32 (size, size, 3)."""
        out = np.zeros((size, size, 3), np.float32)
        for r0 in range(0, size, CORE):
            for c0 in range(0, size, CORE):
                h, w = min(CORE, size - r0), min(CORE, size - c0)
                out[r0 : r0 + h, c0 : c0 + w] = self._block(r0, c0, h, w)
        return out

    def _block(self, r0: int, c0: int, h: int, w: int) -> np.ndarray:
        k = OVERSAMPLING
        top, left = self.before
        bottom, right = self.after
        canvas = Canvas(
            (c0 - left) * self.gsd, (r0 - top) * self.gsd, (w + left + right) * k, (h + top + bottom) * k,
            self.gsd / k, self.bank,
        )  # fmt: skip
        core = slice(top * k, (top + h) * k), slice(left * k, (left + w) * k)
        extent = box(
            canvas.x0,
            canvas.y0,
            canvas.x0 + (w + left + right) * self.gsd,
            canvas.y0 + (h + top + bottom) * self.gsd,
        )
        self._ground(canvas, extent)
        self._objects(canvas, extent, core)
        radiance = illuminate(canvas, self.sun, TALLEST)
        part = radiance[:, core[0], core[1]].reshape(3, h, k, w, k).mean(axis=(2, 4))
        return np.moveaxis(part, 0, -1)

    def _ground(self, canvas: Canvas, extent: Polygon) -> None:
        net, town = self.net, self.town
        surfaces.paint_ground(canvas, Ground(extent, "garden"))
        clip = extent.buffer(2)
        surfaces.paint_ground(canvas, Ground(net.bank.intersection(clip), "verge", 0.95))
        surfaces.paint_ground(canvas, Ground(net.water.buffer(0.45).intersection(clip), "mud"), -0.3)
        surfaces.paint_ground(canvas, Ground(net.water.intersection(clip), "water"))
        for ground in town.grounds:
            surfaces.paint_ground(canvas, ground)
        if not net.rail.is_empty:
            surfaces.paint_ground(canvas, Ground(net.rail.intersection(clip), "wasteland", 0.9))
            surfaces.paint_ground(canvas, Ground(net.rail.buffer(-2.2).intersection(clip), "ballast"), 0.25)
            wood = canvas.polygons(self.sleepers)
            everything = slice(0, canvas.height_px), slice(0, canvas.width)
            canvas.tint(everything, wood * np.clip(0.42 + 0.15 * canvas.mid, 0.1, 0.8), linear((100, 94, 90)))
            for bed in self.beds:
                hit = canvas.mask(bed.intersection(clip))
                if hit is not None:
                    canvas.put(hit[0], hit[1], linear((178, 168, 158)), 0.45, 0.2)
        surfaces.paint_ground(canvas, Ground(net.corridor.intersection(clip), "paving"), 0.12)
        surfaces.paint_ground(canvas, Ground(net.surface.buffer(0.16).intersection(clip), "concrete", 1.05), 0.12)
        surfaces.paint_ground(canvas, Ground(net.surface.intersection(clip), "asphalt"))
        for road in net.roads:
            shape = road.line.buffer(road.width / 2, cap_style="flat")
            if shape.intersects(extent):
                surfaces.paint_ground(canvas, Ground(shape.intersection(clip), "asphalt", road.tone))
        for overlay in town.overlays:
            surfaces.paint_overlay(canvas, overlay)
        surfaces.paint_lines(canvas, town.paint, town.cracks)
        rough = canvas.z <= 0.3
        relief = 0.012 * canvas.fine + 0.02 * canvas.mid
        canvas.z += np.where(rough, relief + 0.05 * canvas.mid2 * (canvas.gloss > 0.4), 0).astype(np.float32)

    def _objects(self, canvas: Canvas, extent: Polygon, core: Slices) -> None:
        town = self.town
        for number, vehicle in enumerate(town.vehicles, 1):
            vehicles.draw_vehicle(canvas, vehicle, number)
        self.painted += np.bincount(canvas.owner[core].ravel(), minlength=len(self.painted))
        for hedge in town.hedges:
            plants.draw_hedge(canvas, hedge)
        for building in town.buildings:
            buildings.draw_building(canvas, building)
        for item in town.items:
            buildings.draw_item(canvas, item)
        for tree in town.trees:
            plants.draw_tree(canvas, tree)
        self.visible += np.bincount(canvas.owner[core].ravel(), minlength=len(self.visible))

    def visible_share(self) -> np.ndarray:
        """Return the share of every vehicle that is visible, float64 (N,); 0 outside the picture."""
        return (self.visible / np.maximum(self.painted, 1))[1:]

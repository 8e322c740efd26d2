"""Vehicle bodies: outline, height profile, glass, lamps and cargo, in the vehicle's own coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .canvas import Canvas, Local, linear
from .plan import Vehicle

GLASS = linear((38, 44, 50))
RUBBER = linear((34, 34, 35))

# Along the body from rear (-0.5) to front (0.5), as shares of the length: knots of the roof line (height
# in m), windscreen and rear window spans.
CARS = {
    "hatch": (
        [-0.5, -0.47, -0.38, -0.30, 0.08, 0.25, 0.44, 0.5],
        [0.7, 0.98, 1.25, 1.47, 1.46, 1.0, 0.84, 0.6],
        (0.09, 0.24),
        (-0.455, -0.35),
    ),
    "sedan": (
        [-0.5, -0.47, -0.34, -0.20, 0.06, 0.22, 0.44, 0.5],
        [0.7, 0.96, 1.02, 1.43, 1.43, 0.98, 0.80, 0.6],
        (0.07, 0.215),
        (-0.335, -0.21),
    ),
    "estate": (
        [-0.5, -0.48, -0.42, -0.36, 0.07, 0.23, 0.44, 0.5],
        [0.7, 1.0, 1.3, 1.47, 1.46, 0.98, 0.82, 0.6],
        (0.08, 0.22),
        (-0.47, -0.40),
    ),
    "suv": (
        [-0.5, -0.48, -0.42, -0.35, 0.08, 0.23, 0.45, 0.5],
        [0.8, 1.1, 1.45, 1.68, 1.67, 1.14, 1.0, 0.7],
        (0.09, 0.22),
        (-0.465, -0.39),
    ),
}


def _taper(s: np.ndarray, label: str) -> np.ndarray:
    """Relative half-width along the body: cars narrow towards both ends."""
    if label in ("truck", "bus"):
        return np.ones_like(s)
    amount = 0.16 if label == "car" else 0.08
    end = np.clip((np.abs(s) - 0.30) / 0.20, 0, 1)
    return 1 - amount * end**2


def _corner(vehicle: Vehicle) -> float:
    return {"car": 0.42, "van": 0.3, "bus": 0.25, "truck": 0.15}[vehicle.label]


def outline(vehicle: Vehicle) -> np.ndarray:
    """Return the outline of the body without mirrors, ground metres, float64 (N, 2)."""
    a, b, r = vehicle.length / 2, vehicle.width / 2, _corner(vehicle)
    t = np.linspace(0, np.pi / 2, 9)
    u = np.concatenate([a - r + r * np.cos(t), -a + r - r * np.sin(t), -a + r - r * np.cos(t), a - r + r * np.sin(t)])
    v = np.concatenate([b - r + r * np.sin(t), b - r + r * np.cos(t), -b + r - r * np.sin(t), -b + r - r * np.cos(t)])
    middle = np.linspace(-0.4, 0.4, 17) * vehicle.length
    u, v = np.concatenate([u, middle, middle]), np.concatenate([v, np.full(17, b), np.full(17, -b)])
    v = v * _taper(u / vehicle.length, vehicle.label)
    c, s = np.cos(vehicle.angle), np.sin(vehicle.angle)
    return np.stack([vehicle.x + u * c - v * s, vehicle.y + u * s + v * c], axis=1)


class _Body:
    """The patch of one vehicle while it is drawn."""

    def __init__(self, canvas: Canvas, vehicle: Vehicle, hit: Local) -> None:
        self.canvas, self.vehicle = canvas, vehicle
        self.sl, self.u, v = hit
        self.s = self.u / vehicle.length
        self.v = v / _taper(self.s, vehicle.label)
        a, b, r = vehicle.length / 2, vehicle.width / 2, _corner(vehicle)
        qu, qv = np.abs(self.u) - a + r, np.abs(self.v) - b + r
        outside = np.hypot(np.maximum(qu, 0), np.maximum(qv, 0)) + np.minimum(np.maximum(qu, qv), 0) - r
        self.inside = -outside
        self.mask = outside < 0
        self.q = np.abs(self.v) / b
        self.rng = np.random.default_rng(vehicle.seed)
        paint = linear(vehicle.colour).reshape(3, 1, 1)
        dirt = np.exp(0.03 * canvas.fine[self.sl] + 0.04 * canvas.mid[self.sl])
        self.colour = (paint * dirt[None]).astype(np.float32)
        self.gloss = np.full(self.s.shape, 0.55, np.float32)

    def fill(self, where: np.ndarray, colour: Sequence[float] | np.ndarray, gloss: float = 0.1) -> None:
        """Colour a part of the body."""
        for c in range(3):
            np.copyto(self.colour[c], np.float32(colour[c]), where=where)
        np.copyto(self.gloss, np.float32(gloss), where=where)

    def rim(self, z: np.ndarray, depth: float, drop: float) -> np.ndarray:
        """Round the edge of a height profile off."""
        t = np.clip(self.inside / depth, 0, 1)
        return z - drop * (1 - np.sqrt(np.maximum(0, 1 - (1 - t) ** 2)))


def draw_vehicle(canvas: Canvas, vehicle: Vehicle, number: int) -> None:
    """Paint one vehicle and mark its samples with ``number`` (> 0)."""
    hit = canvas.local(vehicle.x, vehicle.y, vehicle.angle, np.hypot(vehicle.length, vehicle.width) / 2 + 0.5)
    if hit is None:
        return
    body = _Body(canvas, vehicle, hit)
    # Tyres and the gap below the body darken the ground at its edge.
    contact = np.clip(1 + body.inside / 0.35, 0, 1) * ~body.mask
    canvas.tint(body.sl, (0.5 * contact).astype(np.float32), RUBBER * 0.7)
    z = {"car": _car, "van": _van, "bus": _bus, "truck": _truck}[vehicle.label](body)
    _mirrors(body)
    gloss = body.gloss
    canvas.put(body.sl, body.mask, body.colour, z.astype(np.float32), 0.0, number)
    view = canvas.gloss[body.sl]
    np.copyto(view, gloss, where=canvas.owner[body.sl] == number)


def _mirrors(body: _Body) -> None:
    vehicle, canvas = body.vehicle, body.canvas
    at = {"car": 0.16, "van": 0.30, "truck": 0.42, "bus": 0.5}[vehicle.label]
    out = body.q * vehicle.width / 2
    span = (
        (np.abs(body.s - at) * vehicle.length < 0.12)
        & (out > vehicle.width / 2 - 0.05)
        & (out < vehicle.width / 2 + 0.2)
    )
    colour = linear(vehicle.colour) if vehicle.label == "car" else RUBBER
    canvas.put(body.sl, span & ~body.mask, colour, 1.0, 0.2)


def _lamps(body: _Body, front: float, rear: float) -> None:
    s, q = body.s, body.q
    corner = (q > 0.55) & (q < 0.93)
    body.fill(corner & (s > front) & (s < 0.492), linear((206, 208, 206)), 0.8)
    body.fill(corner & (s < rear) & (s > -0.495), linear((120, 30, 28)), 0.5)


def _car(body: _Body) -> np.ndarray:
    vehicle, s, q = body.vehicle, body.s, body.q
    knots, heights, front, rear = CARS[vehicle.style]
    ridge = np.interp(s, knots, heights).astype(np.float32)
    shoulder = 0.92 if vehicle.style != "suv" else 1.08
    # The cabin leans in from the shoulder to the roof.
    lean = np.clip((0.90 - q) / 0.20, 0, 1)
    z = np.minimum(ridge, np.maximum(shoulder, 0.0) + (ridge - shoulder) * lean)
    z = z - 0.05 * q**2
    z = body.rim(z, 0.30, 0.42)
    roof_lo, roof_hi = rear[1], front[0]
    t = np.clip((s - front[0]) / (front[1] - front[0]), 0, 1)
    screen = (s > front[0]) & (s < front[1] - 0.02 * q**2) & (q < 0.70 + 0.14 * t)
    t = np.clip((rear[1] - s) / (rear[1] - rear[0]), 0, 1)
    back = (s < rear[1]) & (s > rear[0] + 0.012 * q**2) & (q < 0.66 + 0.12 * t)
    sides = (
        (s > rear[0] * 0.92)
        & (s < front[0] + 0.10)
        & (q > 0.745 + 0.06 * np.clip((s - roof_hi) / 0.1, 0, 1))
        & (q < 0.88)
    )
    sides &= np.abs(s - (roof_lo + roof_hi) / 2 - 0.02) > 0.008
    body.fill(screen | back | sides, GLASS, 1.0)
    if body.rng.random() < 0.16:
        body.fill((s > roof_lo + 0.1) & (s < roof_hi - 0.02) & (q < 0.55), GLASS * 0.8, 0.9)
    elif vehicle.style in ("estate", "suv") and body.rng.random() < 0.6:
        body.fill((np.abs(q - 0.66) < 0.03) & (s > roof_lo) & (s < roof_hi), linear((70, 72, 74)), 0.6)
    # Shut lines of bonnet and boot, and a darker lower grille.
    line = (np.abs(s - front[1] - 0.008) < 0.004) & (q < 0.85)
    body.colour *= np.where(line, 0.5, 1.0)[None]
    body.colour *= np.where(s > 0.485, 0.55, 1.0)[None] * np.where(s < -0.49, 0.7, 1.0)[None]
    _lamps(body, 0.445, -0.465)
    return z


def _van(body: _Body) -> np.ndarray:
    s, q, u = body.s, body.q, body.u
    ridge = np.interp(s, [-0.5, -0.485, 0.26, 0.38, 0.47, 0.5], [1.9, 2.3, 2.3, 1.45, 1.1, 0.7]).astype(np.float32)
    z = np.minimum(ridge, 1.35 + (ridge - 1.35) * np.clip((0.985 - q) / 0.14, 0, 1))
    z = body.rim(z, 0.2, 0.4)
    t = np.clip((s - 0.27) / 0.11, 0, 1)
    body.fill((s > 0.27) & (s < 0.385 - 0.02 * q**2) & (q < 0.76 + 0.08 * t), GLASS, 1.0)
    body.fill((s > 0.16) & (s < 0.34) & (q > 0.88) & (q < 0.96), GLASS, 0.9)
    if body.rng.random() < 0.35:
        body.fill((s > -0.46) & (s < 0.13) & (q > 0.90) & (q < 0.96), GLASS, 0.9)
    ribs = (np.abs(np.sin(body.v * np.pi / 0.28)) < 0.18) & (s < 0.2) & (s > -0.46) & (q < 0.8)
    body.colour *= np.where(ribs, 0.88, 1.0)[None]
    if body.rng.random() < 0.18:
        rack = ((np.abs(u % 0.9) < 0.08) | (np.abs(q - 0.72) < 0.03)) & (s < 0.2) & (s > -0.45) & (q < 0.76)
        body.fill(rack, linear((150, 150, 150)), 0.3)
    body.colour *= np.where(s > 0.488, 0.5, 1.0)[None]
    _lamps(body, 0.455, -0.485)
    return z


def _bus(body: _Body) -> np.ndarray:
    vehicle, s, q, u = body.vehicle, body.s, body.q, body.u
    z = body.rim(np.full(s.shape, 3.05, np.float32) - 0.1 * q**2, 0.22, 0.7)
    roof = linear((214, 214, 210)) if body.rng.random() < 0.7 else linear(vehicle.colour)
    body.fill((q < 0.86) & (np.abs(s) < 0.485), roof, 0.3)
    body.fill((q > 0.93) & (np.abs(s) < 0.47) & (np.abs(np.sin(u * np.pi / 1.5)) > 0.12), GLASS, 0.9)
    body.fill((s > 0.480) & (s < 0.494) & (q < 0.9), GLASS, 1.0)
    for centre, long, half in (
        (body.rng.uniform(0.1, 0.3), 0.09, 0.5),
        (body.rng.uniform(-0.38, -0.15), 0.13, 0.55),
    ):
        unit = (np.abs(s - centre) < long) & (q < half)
        z = z + 0.25 * unit
        body.fill(unit, linear((176, 178, 178)), 0.15)
        body.colour *= np.where(unit & (np.abs(s - centre) < long * 0.5) & (q < half * 0.5), 0.45, 1.0)[None]
    for hatch in (-0.05, 0.38):
        body.fill((np.abs(s - hatch) * vehicle.length < 0.4) & (q < 0.28), linear((120, 122, 122)), 0.3)
    seam = np.abs((u + 0.6) % 2.4) < 0.05
    body.colour *= np.where(seam & (q < 0.86), 0.85, 1.0)[None]
    return z


def _truck(body: _Body) -> np.ndarray:
    vehicle, u, q, v = body.vehicle, body.u, body.q, body.v
    front = vehicle.length / 2 - u
    z = np.full(u.shape, 0.9, np.float32)
    body.fill(np.ones(u.shape, bool), linear((56, 55, 54)), 0.05)
    cab = front < 2.25
    body.fill(cab, linear(vehicle.colour), 0.5)
    z = np.where(cab, np.interp(front, [0, 0.15, 0.5, 2.0, 2.25], [1.6, 2.3, 2.95, 3.05, 2.9]), z)
    body.fill((front > 0.10) & (front < 0.42) & (q < 0.86), GLASS, 1.0)
    body.fill((front > 0.35) & (front < 1.1) & (q > 0.93), GLASS, 0.9)
    if body.rng.random() < 0.5:
        body.fill((front > 1.0) & (front < 2.0) & (q < 0.7), linear(vehicle.colour) * 0.85, 0.3)
        z = np.where((front > 0.9) & (front < 2.1) & (q < 0.75), z + 0.4, z)
    cargo = (front > 2.7) & (front < vehicle.length - 0.12)
    if vehicle.style == "flat":
        wood = linear((136, 120, 98)) * body.rng.uniform(0.6, 1.2)
        body.fill(cargo, wood, 0.0)
        z = np.where(cargo, np.where(q > 0.94, 1.7, 1.25), z)
        for k in range(int(body.rng.integers(0, 4))):
            load = (np.abs(front - 3.6 - k * 1.9) < 0.8) & (q < body.rng.uniform(0.5, 0.85)) & cargo
            tone = body.rng.uniform(70, 200)
            body.fill(load, linear((tone, tone * 0.95, tone * 0.88)), 0.0)
            z = np.where(load, body.rng.uniform(1.7, 2.6), z)
    else:
        choices = [
            (222, 222, 220),
            (206, 206, 204),
            (170, 172, 172),
            (58, 86, 132),
            (112, 116, 120),
            (66, 98, 76),
        ]
        rgb = np.array(choices[body.rng.integers(len(choices))], float) * body.rng.uniform(0.9, 1.05)
        body.fill(cargo, linear(rgb), 0.12 if vehicle.style == "tarp" else 0.3)
        z = np.where(cargo, 3.6 - 0.06 * q**2, z)
        ribs = np.sin(front * 2 * np.pi / 1.25)
        if vehicle.style == "tarp":
            z = z + cargo * 0.04 * ribs
            body.colour *= np.exp(np.where(cargo, 0.05 * ribs + 0.06 * body.canvas.mid[body.sl], 0))[None]
        frame = cargo & ((q > 0.95) | (front > vehicle.length - 0.3) | (front < 2.85))
        body.colour *= np.where(frame, 0.8, 1.0)[None]
    body.colour *= np.where(np.abs(v) < 0.02, 0.95, 1.0)[None]
    return body.rim(z, 0.10, 0.35)

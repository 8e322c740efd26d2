"""Damaged scenes, model packages and journals. Whatever the damage: either the file is read, or there is an NssaError.

A target makes whole files (``make_*``), damages the bytes of one (``damage*``) and tries to read it (``probe_*``). A
probe raises AssertionError where what was read is wrong, and lets every exception but NssaError through.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.detect.journal import Journal
from nssa_gis.errors import NssaError
from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.radiometry import choose_bands, scaling_for
from nssa_gis.raster.reader import TileReader
from nssa_gis.raster.scene import open_scene
from nssa_gis.runtime.package import ModelInfo, load_package, save_package

#: Creation options and types of the scenes that `make_scenes` writes.
LAYOUTS: tuple[dict[str, Any], ...] = (
    {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16, "dtype": "uint8"},
    {"compress": "lzw", "dtype": "uint16"},
    {"compress": "jpeg", "photometric": "ycbcr", "interleave": "pixel", "dtype": "uint8"},
    {"nodata": 0, "dtype": "float32"},
)
_MARK: dict[str, Any] = {
    "scene": {"path": "a.tif", "bytes": 3},
    "options": {"confidence": 0.3, "classes": None},
    "version": "1",
}
# What a damaged JSON value may become.
_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2, 1e308, float("nan"), 10**9, 2**70),
    *("", "x", [], {}, [[]], {"a": 1}, [1, 2], "\x00\ud800"),
)


def make_scenes(folder: Path) -> list[Path]:
    """Write one small scene of noise for each of `LAYOUTS`."""
    paths = []
    for i, layout in enumerate(LAYOUTS):
        path = folder / f"{i}.tif"
        data = np.random.default_rng(i).integers(0, 200, (3, 50, 60)).astype(layout["dtype"])
        place = {"crs": "EPSG:32631", "transform": rasterio.Affine(0.25, 0, 5e5, 0, -0.25, 5e6)}
        with rasterio.open(path, "w", driver="GTiff", width=60, height=50, count=3, **layout, **place) as file:
            file.write(data)
        paths.append(path)
    return paths


def make_packages(folder: Path) -> list[Path]:
    """Write two packages with random weights, with and without the attention."""
    import torch

    from nssa_gis.model.config import named_config
    from nssa_gis.model.network import DetectionNetwork

    torch.manual_seed(0)
    paths = []
    for name in ("nssa-n", "nssa-n-plain"):
        path = folder / f"{name}.safetensors"
        network = named_config(name, 2).to_dict()
        save_package(
            path,
            DetectionNetwork(named_config(name, 2)).state_dict(),
            ModelInfo(name="toy", version="1", network=network, classes=("a", "b"), gsd=0.25, gsd_range=(0.1, 0.5)),
        )
        paths.append(path)
    return paths


def make_journals(folder: Path) -> list[Path]:
    """Write a journal of four rows, one of them empty."""
    path = folder / "out.gpkg.journal"
    journal = Journal.create(path, _MARK, {"mode": "new", "backend": "planted"})
    for row, n in enumerate((5, 0, 17, 3)):
        rng = np.random.default_rng(row)
        boxes = rng.random((n, 4)) * 1e6
        found = GridDetections.of(boxes, rng.random(n), rng.integers(0, 9, n), rng.integers(0, 99, n), 0)
        journal.append(row, found, tiles=row + 1)
    journal.close()
    return [path]


def damage(content: bytes, rng: np.random.Generator, head: int = 600) -> bytes:
    """Change a few bytes, most of them in the first ``head``; sometimes cut the end, repeat or remove a part."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 7)):
        at = int(rng.integers(0, min(len(changed), head) if rng.random() < 0.7 else len(changed)))
        changed[at] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(0, 256))]))
    kind, a, b = rng.random(), *sorted(rng.integers(0, len(changed) + 1, 2).tolist())
    if kind < 0.1:
        del changed[a:]
    elif kind < 0.15:
        del changed[a:b]
    elif kind < 0.2:
        changed[a:a] = changed[a : min(b, a + 4096)]
    return bytes(changed)


def damage_json(value: Any, rng: np.random.Generator) -> Any:
    """Replace, remove or rename one entry somewhere in a JSON value."""
    entries = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not entries or rng.random() < 0.15:
        return _ODD[rng.integers(len(_ODD))]
    key = entries[rng.integers(len(entries))]
    changed = value.copy()
    act = rng.random()
    if act < 0.1:
        del changed[key]
    elif act < 0.15 and isinstance(changed, dict):
        changed["other"] = changed.pop(key)
    else:
        changed[key] = damage_json(changed[key], rng)
    return changed


def damage_package(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage bytes, the tensor table, the metadata or the network description of a package."""
    if rng.random() < 0.3:
        return damage(content, rng, 8000)
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    if rng.random() < 0.2:
        header = damage_json(header, rng)
    else:
        info = json.loads(header["__metadata__"]["nssa_gis"])
        if rng.random() < 0.6:
            info["network"] = damage_json(info["network"], rng)
        else:
            info = damage_json(info, rng)
        header["__metadata__"]["nssa_gis"] = json.dumps(info)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def damage_journal(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage bytes, or the header with a correct checksum."""
    if rng.random() < 0.7:
        return damage(content, rng, 400)
    length = struct.unpack("<Q", content[8:16])[0]
    text = json.dumps(damage_json(json.loads(content[20 : 20 + length]), rng)).encode()
    if rng.random() < 0.05:
        text = b"[" * 100_000
    return content[:8] + struct.pack("<QI", len(text), zlib.crc32(text)) + text + content[20 + length :]


def probe_scene(path: Path) -> None:
    """Open a scene and read a few tiles."""
    try:
        with open_scene(path) as scene:
            bands, _ = choose_bands(scene, None, 3)
            if scene.frame.width * scene.frame.height < 1e7:
                scaling = scaling_for(scene, bands)
                grid = TileGrid(scene.frame.width, scene.frame.height, 64, 0, 32)
                list(TileReader(scene, grid, bands=bands, scaling=scaling, ids=range(min(4, len(grid)))))
    except NssaError as error:
        _one_line(error, path)


def probe_package(path: Path) -> None:
    """Load a package and build its network; all metadata must have the types that they declare."""
    from nssa_gis.runtime.backends.torch import build_detector

    try:
        package = load_package(path)
        for name in ModelInfo.model_fields:
            value, usual = getattr(package.info, name), getattr(_USUAL, name)
            if name == "value_range":
                value, usual = value or (), ()
            kinds = (int, float) if isinstance(usual, float) else type(usual)
            _hold(isinstance(value, kinds) and not isinstance(value, bool), f"{name}: {value!r}")
        build_detector(package)
    except NssaError as error:
        _one_line(error, path)


_USUAL = ModelInfo(name="n", version="1", network={}, classes=("a",), gsd=0.25, gsd_range=(0.1, 0.5))


def probe_journal(path: Path) -> None:
    """Resume a journal, read its rows, add one."""
    try:
        journal = Journal.resume(path, _MARK)
    except NssaError as error:
        _one_line(error, path)
        return
    try:
        rows = [row for row, _ in journal.rows()]
        _hold(rows == sorted(set(rows)), f"rows {rows} do not ascend")
        _hold(journal.last_row == (rows[-1] if rows else -1), f"last row {journal.last_row} of {rows}")
        journal.append(journal.last_row + 1, GridDetections.empty(), 1)
    finally:
        journal.close()


def _one_line(error: NssaError, path: Path) -> None:
    _hold("\n" not in str(error) and str(path) in str(error), f"not one line that names the file: {error}")


def _hold(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


class Target(NamedTuple):
    """One kind of file: how to make whole ones, to damage the bytes of one and to try it."""

    make: Callable[[Path], list[Path]]
    damage: Callable[[bytes, np.random.Generator], bytes]
    probe: Callable[[Path], None]


#: All targets by name.
TARGETS = {
    "scene": Target(make_scenes, damage, probe_scene),
    "package": Target(make_packages, damage_package, probe_package),
    "journal": Target(make_journals, damage_journal, probe_journal),
}

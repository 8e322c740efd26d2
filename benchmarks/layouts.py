"""Any layout that GDAL writes gives the same objects: random files with planted objects at random places.

Each run draws a driver, a type of pixels, bands, blocks, compression, a sparse part, nodata, a mask or an opacity, and
overviews (good, by nearest neighbour, or older than the pixels); half of the runs shrink the scene, so that overviews
may be read. A finding is a file with an object lost, added or displaced, or an error.

``python -m benchmarks.layouts [--runs N] [--seed N] [--keep DIR] [--quick] [--json FILE]``
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.shutil import copy as gdal_copy

from benchmarks.engine import parser, print_rows, write_json
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import find_objects
from nssa_gis.raster.scene import open_scene
from nssa_gis.testing import GSD, PlantedDetector, make_package

Pixels = NDArray[Any]

#: Creation options and types that each driver takes, beyond GeoTIFF; lossless.
_COPIES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "COG": (".tif", {"OVERVIEWS": "AUTO", "BLOCKSIZE": 128}, ("uint8", "uint16", "int16", "float32")),
    "PNG": (".png", {}, ("uint8", "uint16")),
    "HFA": (".img", {"COMPRESSED": "YES"}, ("uint8", "uint16", "int16", "float32")),
    "NITF": (".ntf", {}, ("uint8", "uint16", "int16", "float32")),
    "ENVI": (".raw", {"INTERLEAVE": "BIL"}, ("uint8", "uint16", "int16", "float32")),
    "JP2OpenJPEG": (".jp2", {"QUALITY": "100", "REVERSIBLE": "YES"}, ("uint8", "uint16", "int16")),
    "WEBP": (".webp", {"LOSSLESS": "YES"}, ("uint8",)),
    "VRT": (".vrt", {}, ("uint8", "uint16", "int16", "float32")),
}
_SHRINK = 0.25


@dataclass(frozen=True)
class Layout:
    """One file: what GDAL is asked to write. Sides in pixels."""

    driver: str
    dtype: str
    bands: int
    width: int
    height: int
    blocks: str
    interleave: str
    compress: str | None
    sparse: bool
    nodata: float | None
    mask: str
    overviews: str
    external: bool
    shrunk: bool

    @property
    def ground(self) -> int:
        """Value of the ground."""
        return 60 if self.dtype == "uint8" else 700

    @property
    def bright(self) -> int:
        """Value of an object."""
        return 250 if self.dtype == "uint8" else 4000


def draw(rng: np.random.Generator) -> Layout:
    """Draw a layout that the driver can write."""

    def of(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    driver = of("GTiff", "GTiff", "GTiff", *_COPIES)
    dtype = of(*(_COPIES[driver][2] if driver in _COPIES else ("uint8", "uint16", "int16", "float32")))
    bands = int(of(3, 4)) if driver == "WEBP" else int(of(1, 3, 4))
    blocks = of("default", "16", "64", "256", "strip", "rows")
    mask = of("none", "none", "internal", "external", "alpha" if bands == 4 else "none")
    if driver in ("PNG", "WEBP", "JP2OpenJPEG") and bands == 4:
        mask = "alpha"  # they tag a fourth band so
    if blocks == "strip" and mask == "internal":
        mask = "none"  # GDAL cannot read what it writes here, and says so
    return Layout(
        driver=driver,
        dtype=dtype,
        bands=bands,
        width=int(rng.integers(300, 900)),
        height=int(rng.integers(300, 2600)),
        blocks=blocks,
        interleave=of("pixel", "band"),
        compress=of(None, "deflate", "lzw", "packbits", "zstd"),
        sparse=bool(of(True, False)),
        nodata=of(None, None, 0, 7),
        mask=mask,
        overviews=of("none", "average", "nearest", "stale"),
        external=bool(of(True, False)),
        shrunk=bool(of(True, False)),
    )


def plant(layout: Layout, rng: np.random.Generator) -> tuple[Pixels, NDArray[np.bool_], NDArray[np.int64]]:
    """Make the pixels (bands, h, w), their validity (h, w), and the boxes (N, 4) of objects in band 1."""
    side = (48, 65) if layout.shrunk else (6, 20)
    pitch = side[1] + 16
    height, width = layout.height, layout.width
    # ground that varies: one value in most pixels would be taken for nodata that nobody declared
    ground = layout.ground * rng.uniform(0.7, 1.3, (layout.bands, height, width))
    pixels = ground.astype(layout.dtype)
    valid = np.ones((height, width), np.bool_)
    # the objects lie at the right of what is never written or invalid
    free = pitch if layout.sparse or layout.mask != "none" or layout.nodata is not None else 0
    valid[:, : free // 2] = False
    places = [(x, y) for y in range(4, height - pitch, pitch) for x in range(free + 4, width - pitch, pitch)]
    chosen = [places[i] for i in rng.permutation(len(places))[:6]]
    size = rng.integers(*side, (len(chosen), 2))
    at = np.array(chosen) + rng.integers(0, 8, (len(chosen), 2))
    boxes = np.concatenate([at, at + size], axis=1)
    for x0, y0, x1, y1 in boxes.tolist():
        pixels[0, y0:y1, x0:x1] = layout.bright
    if not valid.all():
        pixels[:, ~valid] = 0 if layout.nodata is None else layout.nodata
    if layout.mask == "alpha":
        pixels[-1] = np.where(valid, np.iinfo(layout.dtype).max if layout.dtype != "float32" else 255, 0)
    return pixels, valid, boxes


def write(layout: Layout, folder: Path, pixels: Pixels, valid: NDArray[np.bool_]) -> Path:
    """Write the file; overviews that are stale show the ground alone."""
    options: dict[str, Any] = {"interleave": layout.interleave, "compress": layout.compress, "SPARSE_OK": layout.sparse}
    if layout.blocks.isdigit():
        options |= {"tiled": True, "blockxsize": int(layout.blocks), "blockysize": int(layout.blocks)}
    elif layout.blocks != "default":
        options |= {"tiled": False, "blockysize": layout.height if layout.blocks == "strip" else 1}
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": layout.width,
        "height": layout.height,
        "count": layout.bands,
        "dtype": layout.dtype,
        "crs": "EPSG:32633",
        "transform": rasterio.Affine(GSD, 0, 500000, 0, -GSD, 5300000),
        "nodata": layout.nodata,
    }
    plain = folder / "plain.tif"
    internal = layout.mask == "internal"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal, TIFF_USE_OVR=layout.external):
        with rasterio.open(plain, "w", **profile, **options) as data:
            if layout.bands == 4:
                last = ColorInterp.alpha if layout.mask == "alpha" else ColorInterp.undefined
                data.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, last]
            bare = pixels.copy()
            bare[0][bare[0] == layout.bright] = layout.ground
            data.write(bare if layout.overviews == "stale" else pixels)
            if layout.mask in ("internal", "external"):
                data.write_mask(valid.astype(np.uint8) * 255)
        if layout.overviews != "none":
            with rasterio.open(plain, "r+") as data:
                how = Resampling.nearest if layout.overviews == "nearest" else Resampling.average
                data.build_overviews([2, 4, 8], how)
        if layout.overviews == "stale":
            with rasterio.open(plain, "r+") as data:
                data.write(pixels)
        if layout.driver == "GTiff":
            return plain
        suffix, creation, _ = _COPIES[layout.driver]
        target = folder / f"copy{suffix}"
        gdal_copy(plain, target, driver=layout.driver, **creation)
    return target


def check(layout: Layout, path: Path, boxes: NDArray[np.int64]) -> str:
    """Say what is wrong with what is found; empty if it is right."""
    options = DetectOptions(scale=_SHRINK if layout.shrunk else 1.0, confidence=0.3)
    # the objects are too few for the percentiles of a scene
    top = 255.0 if layout.dtype == "uint8" else 4095.0
    package = make_package(path.parent, value_range=(0.0, top))
    with open_scene(path) as scene, PlantedDetector(package) as detector:
        found = find_objects(detector, scene, options)
    got = np.unique(np.round(found.boxes, 3), axis=0)  # one band feeds all, so each class is found
    if layout.shrunk:
        far = np.abs(got[:, None] - boxes[None]).max(axis=2) if len(got) else np.full((0, len(boxes)), np.inf)
        lost, more = int((far > 2 / _SHRINK).all(axis=0).sum()), int((far > 2 / _SHRINK).all(axis=1).sum())
    else:
        wanted = {tuple(map(float, box)) for box in boxes.tolist()}
        there = {tuple(box) for box in got.tolist()}
        lost, more = len(wanted - there), len(there - wanted)
    return f"{lost} of {len(boxes)} objects lost, {more} more" if lost or more else ""


def main() -> None:
    """Run and print."""
    options = parser("Objects found in random layouts of files.")
    options.add_argument("--runs", type=int, default=1000, help="files (default 1000)")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--keep", type=Path, help="folder for the files of findings")
    asked = options.parse_args()
    runs = 150 if asked.quick else asked.runs
    known = {name for name in _COPIES if _known(name)}
    tried: Counter[str] = Counter()
    findings: list[dict[str, Any]] = []
    begun = time.monotonic()
    for number in range(runs):
        rng = np.random.default_rng([asked.seed, number])
        layout = draw(rng)
        if layout.driver != "GTiff" and layout.driver not in known:
            tried[f"{layout.driver} (not in this GDAL)"] += 1
            continue
        with tempfile.TemporaryDirectory() as name:
            pixels, valid, boxes = plant(layout, rng)
            try:
                path = write(layout, Path(name), pixels, valid)
            except Exception as error:  # GDAL cannot write it: no layout
                tried[f"not written by GDAL: {type(error).__name__}"] += 1
                continue
            tried[layout.driver] += 1
            try:
                wrong = check(layout, path, boxes)
            except Exception:
                wrong = traceback.format_exc()
            if wrong:
                findings.append({"number": number, "wrong": wrong, **asdict(layout)})
                print(f"{number}: {wrong}\n  {layout}", flush=True)
                if asked.keep:
                    shutil.copytree(name, asked.keep / str(number), dirs_exist_ok=True)
    rows: list[dict[str, Any]] = [{"driver": name, "files": count} for name, count in sorted(tried.items())]
    print_rows(rows)
    print(f"{runs} runs, {len(findings)} findings, {time.monotonic() - begun:.0f} s")
    write_json([*rows, {"runs": runs, "seed": asked.seed, "findings": findings}], asked.json)
    if findings:
        raise SystemExit(1)


def _known(name: str) -> bool:
    with rasterio.Env() as env:
        return name in env.drivers()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

"""Files: GeoTIFF with truth in WGS84, and COCO for training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from pyproj import Transformer
from rasterio.transform import from_origin

from .plan import Vehicle
from .vehicles import outline

CLASSES = ("car", "van", "truck", "bus")
CRS = "EPSG:25832"
OCCLUDED_BELOW = 0.4


def truth_boxes(vehicles: list[Vehicle], visible: np.ndarray, size: int, gsd: float) -> list[dict[str, Any]]:
    """Return one record per vehicle in the picture: class, box in pixel edges, occluded.

    The box bounds the body without mirrors and shadow, clipped to the picture. A vehicle is occluded
    where less than 40 % of it shows from above or lies in the picture.
    """
    records = []
    for vehicle, share in zip(vehicles, visible, strict=True):
        points = outline(vehicle) / gsd
        low, high = points.min(axis=0), points.max(axis=0)
        a, b = np.clip(low, 0, size), np.clip(high, 0, size)
        if (b - a).min() < 1.0:
            continue
        inside = float(np.prod(b - a) / np.prod(high - low))
        box = [round(float(v), 3) for v in (*a, *b)]
        hidden = bool(share * inside < OCCLUDED_BELOW)
        records.append({"class": vehicle.label, "box": box, "occluded": hidden})
    return records


def write_geotiff(path: Path, image: np.ndarray, gsd: float, origin: tuple[float, float], quality: int = 85) -> None:
    """Write an (H, W, 3) uint8 picture as a cloud-optimised GeoTIFF with JPEG in YCbCr."""
    h, w, _ = image.shape
    with rasterio.open(
        path, "w", driver="COG", width=w, height=h, count=3, dtype="uint8", crs=CRS,
        transform=from_origin(*origin, gsd, gsd), compress="JPEG", quality=quality, blocksize=512,
        overview_resampling="average",
    ) as target:  # fmt: skip
        target.write(np.moveaxis(image, -1, 0))
        target.colorinterp = (
            rasterio.enums.ColorInterp.red,
            rasterio.enums.ColorInterp.green,
            rasterio.enums.ColorInterp.blue,
        )


def write_truth(path: Path, records: list[dict[str, Any]], gsd: float, origin: tuple[float, float]) -> None:
    """Write the boxes as WGS84 polygons (RFC 7946) with their pixel bounds as properties."""
    to_wgs84 = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    features = []
    for number, record in enumerate(records, 1):
        x0, y0, x1, y1 = record["box"]
        # Counter-clockwise on the ground: lower left first.
        px = np.array([x0, x1, x1, x0, x0])
        py = np.array([y1, y1, y0, y0, y1])
        lon, lat = to_wgs84.transform(origin[0] + px * gsd, origin[1] - py * gsd)
        ring = [[round(float(a), 9), round(float(b), 9)] for a, b in zip(lon, lat, strict=True)]
        properties = {"id": number, "class": record["class"], "x0": x0, "y0": y0, "x1": x1, "y1": y1}
        properties["occluded"] = record["occluded"]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "id": number, "properties": properties, "geometry": geometry})
    lines = ",\n".join(json.dumps(f, separators=(",", ":")) for f in features)
    path.write_text(f'{{"type":"FeatureCollection","name":"{path.stem}","features":[\n{lines}\n]}}\n', encoding="utf-8")


def write_coco(folder: Path, name: str, image: np.ndarray, records: list[dict[str, Any]], gsd: float) -> None:
    """Write ``images/<name>.png`` and ``instances.json``; towns already in the folder stay."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    index = folder / "instances.json"
    categories = [{"id": k, "name": label} for k, label in enumerate(CLASSES, 1)]
    data: dict[str, Any] = {"images": [], "annotations": [], "categories": categories}
    if index.exists():
        data = json.loads(index.read_text(encoding="utf-8"))
    file_name = f"{name}.png"
    stale = {i["id"] for i in data["images"] if i["file_name"] == file_name}
    data["images"] = [i for i in data["images"] if i["id"] not in stale]
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] not in stale]
    image_id = 1 + max((i["id"] for i in data["images"]), default=0)
    next_id = 1 + max((a["id"] for a in data["annotations"]), default=0)
    h, w, _ = image.shape
    entry = {"id": image_id, "file_name": file_name, "width": w, "height": h, "gsd_m": gsd, "scene": name}
    data["images"].append(entry | {"not_exhaustive": []})
    for k, record in enumerate(records):
        x0, y0, x1, y1 = record["box"]
        bbox = [x0, y0, round(x1 - x0, 3), round(y1 - y0, 3)]
        area = round(bbox[2] * bbox[3], 3)
        category = CLASSES.index(record["class"]) + 1
        annotation = {
            "id": next_id + k,
            "image_id": image_id,
            "category_id": category,
            "bbox": bbox,
            "area": area,
        }
        data["annotations"].append(annotation | {"iscrowd": int(record["occluded"])})
    Image.fromarray(image).save(folder / "images" / file_name)
    index.write_text(json.dumps(data), encoding="utf-8")

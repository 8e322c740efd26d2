import json

import numpy as np
import pytest
from PIL import Image


def write_source(folder, images=4, size=96, scenes=("a", "b"), seed=0, **fields):
    """A COCO folder of noise images with bright rectangles on them."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    table = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 3, "name": "car"}, {"id": 7, "name": "tree"}],
    }
    for i in range(images):
        pixels = rng.integers(60, 90, (size, size, 3)).astype(np.uint8)
        for _ in range(4):
            x, y = rng.integers(5, size - 25, 2).tolist()
            w, h = rng.integers(8, 18, 2).tolist()
            pixels[y : y + h, x : x + w] = 230
            table["annotations"].append(
                {
                    "id": len(table["annotations"]),
                    "image_id": i,
                    "category_id": 3,
                    "bbox": [x, y, w, h],
                    "iscrowd": 0,
                }
            )
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        table["images"].append(
            {
                "id": i,
                "file_name": f"{i}.png",
                "width": size,
                "height": size,
                "gsd_m": 0.25,
                "scene": scenes[i % 2],
                **fields,
            }
        )
    (folder / "instances.json").write_text(json.dumps(table))
    return folder


@pytest.fixture
def coco_folder(tmp_path):
    return write_source(tmp_path / "toy")


@pytest.fixture(scope="module")
def kept_folder(tmp_path_factory):
    """The same for all tests of a file."""
    return write_source(tmp_path_factory.mktemp("kept") / "toy")

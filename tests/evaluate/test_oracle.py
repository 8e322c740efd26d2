"""Our averages against pycocotools on random data."""

import contextlib
import io
import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nssa_gis.detections import Detections
from nssa_gis.evaluate.coco import ImageTruth, average_precisions
from nssa_gis.evaluate.protocols import PROTOCOLS


def random_scene(rng, classes):
    """Objects of 3 to 120 px, most found more or less well, some twice, and noise."""
    n = int(rng.integers(0, 40))
    size = np.exp(rng.uniform(np.log(3), np.log(120), (n, 2)))
    at = rng.uniform(0, 700, (n, 2))
    boxes = np.concatenate((at, at + size), 1).astype(np.float32).astype(np.float64)
    labels = rng.integers(0, classes, n)
    copies = np.concatenate((np.flatnonzero(rng.random(n) < 0.8), np.flatnonzero(rng.random(n) < 0.3)))
    jitter = np.tile(size[copies], 2) * rng.normal(0, 0.08, (len(copies), 4))
    noise = rng.uniform(0, 700, (15, 2))
    noise = np.concatenate((noise, noise + rng.uniform(4, 60, (15, 2))), 1)
    found = np.concatenate((boxes[copies] + jitter, noise))
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    classes_found = np.concatenate((labels[copies], rng.integers(0, classes, 15)))
    scores = rng.permutation(len(found)) / 100  # no ties: implementations may order them differently
    truth = ImageTruth(boxes.astype(np.float32), labels, np.empty((0, 4), np.float32))
    return truth, Detections.from_columns(found, scores, classes_found)


def oracle(truths, found, classes, areas, limits):
    annotations, rows = [], []
    for k, (t, d) in enumerate(zip(truths, found, strict=True)):
        for box, label in zip(t.boxes.astype(np.float64), t.labels, strict=True):
            w, h = box[2] - box[0], box[3] - box[1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": k,
                    "category_id": int(label),
                    "bbox": [box[0], box[1], w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
        for box, score, label in zip(d.boxes, d.scores, d.labels, strict=True):
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            rows.append({"image_id": k, "category_id": int(label), "bbox": bbox, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = {
            "images": [{"id": k} for k in range(len(truths))],
            "annotations": annotations,
            "categories": [{"id": c, "name": str(c)} for c in range(classes)],
        }
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(rows), "bbox")
        run.params.areaRng = [[low, min(high, 1e10)] for low, high in areas.values()]
        run.params.areaRngLbl = list(areas)
        run.params.maxDets = list(limits)
        run.evaluate()
        run.accumulate()
    return run.eval["precision"], run.eval["recall"]


@pytest.mark.parametrize("name", ["coco", "visdrone", "aitod"])
@pytest.mark.parametrize("seed", range(3))
def test_averages_equal_those_of_pycocotools(name, seed):
    rng = np.random.default_rng(seed)
    protocol = PROTOCOLS[name]
    classes = 3
    scenes = [random_scene(rng, classes) for _ in range(12)]
    truths, found = [t for t, _ in scenes], [d for _, d in scenes]
    got = average_precisions(truths, found, classes, protocol.areas, protocol.limits)
    precision, recall = oracle(truths, found, classes, protocol.areas, protocol.limits)
    np.testing.assert_allclose(got.precision, precision, atol=1e-9)
    np.testing.assert_allclose(got.recall, recall, atol=1e-9)
    for number, area in enumerate(protocol.areas):
        table = precision[:, :, :, number, -1]
        for value, part in (
            (got.ap(area), table),
            (got.ap(area, iou=0.5), table[:1]),
            (got.ap(area, iou=0.75), table[5:6]),
        ):
            part = part[part > -1]
            assert value == pytest.approx(part.mean(), abs=1e-9) if len(part) else math.isnan(value)
    assert 0.05 < got.ap() < 0.95, "a comparison of nothing with nothing proves nothing"

"""Our averages of COCO files against those that pycocotools computes from the same files."""

import contextlib
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.evaluate.coco import average_precisions, ignored
from nssa_gis.evaluate.protocols import PROTOCOLS, score_protocol
from nssa_gis.labels.classes import class_table, truth_of
from nssa_gis.labels.registry import read_table

NAMES = ["a", "b", "c"]


def random_boxes(rng, n, low, high):
    """``x, y, w, h`` with two decimals, as label files have them."""
    size = np.exp(rng.uniform(np.log(low), np.log(high), (n, 2)))
    return np.concatenate((rng.uniform(0, 700, (n, 2)), size), 1).round(2)


def random_scene(rng):
    """Objects of 3 to 250 px, crowds, and detections: most more or less well, some twice, and noise."""
    n = int(rng.integers(5, 40))
    boxes = random_boxes(rng, n, 3, 250)
    # edges of the size bins: such a box belongs to two of them
    for k, side in enumerate((8, 16, 32)):
        boxes[k::7, 2:] = side
    labels = rng.integers(0, len(NAMES), n)
    # areas of masks are smaller than their boxes, so that some fall into another bin
    share = rng.choice([1.0, 0.6, 0.3], n)
    areas = [None if s == 1 else round(float(w * h * s), 2) for s, (_, _, w, h) in zip(share, boxes, strict=True)]
    crowds = random_boxes(rng, 6, 60, 300)
    crowd_labels = rng.integers(0, len(NAMES), 6)
    copies = np.concatenate((np.flatnonzero(rng.random(n) < 0.8), np.flatnonzero(rng.random(n) < 0.3)))
    close = boxes[copies] + np.tile(boxes[copies, 2:], 2) * rng.normal(0, 0.05, (len(copies), 4))
    # half of the noise lies in crowds, of their class and of others
    noise = random_boxes(rng, 30, 4, 60)
    inside = rng.integers(0, 6, 15)
    noise[:15, :2] = crowds[inside, :2] + rng.uniform(-0.1, 0.9, (15, 2)) * crowds[inside, 2:]
    noise_labels = np.concatenate((crowd_labels[inside], rng.integers(0, len(NAMES), 15)))
    noise_labels[:5] = rng.integers(0, len(NAMES), 5)
    found = np.concatenate((close, noise))
    found[:, 2:] = np.maximum(found[:, 2:], 1)
    return (boxes, labels, areas), (crowds, crowd_labels), (found, np.concatenate((labels[copies], noise_labels)))


def random_set(folder, seed, scenes=12):
    """A COCO file and detections per image; no two have one score, for implementations may order them differently."""
    rng = np.random.default_rng(seed)
    table = {
        "images": [{"id": k, "file_name": f"{k}.png"} for k in range(scenes)],
        "annotations": [],
        "categories": [{"id": 10 * c + 7, "name": name} for c, name in enumerate(NAMES)],
    }
    rows = table["annotations"]
    found = []
    for image in range(scenes):
        (boxes, labels, areas), (crowds, crowd_labels), seen = random_scene(rng)
        own = [(*row, 0) for row in zip(boxes, labels, areas, strict=True)]
        own += [(box, label, box[2] * box[3], 1) for box, label in zip(crowds, crowd_labels, strict=True)]
        for box, label, area, crowd in own:
            row = {"id": len(rows) + 1, "image_id": image, "category_id": 10 * int(label) + 7}
            rows.append(row | {"bbox": box.tolist(), "iscrowd": crowd} | ({} if area is None else {"area": area}))
        found.append(seen)
    total = sum(len(labels) for _, labels in found)
    scores = np.split((rng.permutation(total) + 1) / (total + 1), np.cumsum([len(labels) for _, labels in found])[:-1])
    detections = []
    for (xywh, labels), score in zip(found, scores, strict=True):
        corners = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), 1)
        detections.append(SceneDetections.of(corners, score, labels))
    every = np.concatenate([d.scores for d in detections])
    assert len(np.unique(every)) == len(every)
    (folder / "instances.json").write_text(json.dumps(table))
    (folder / "images").mkdir(exist_ok=True)
    for k in range(scenes):
        Image.new("1", (1000, 1000)).save(folder / "images" / f"{k}.png")
    return table, detections


def ours(folder):
    """Truths as ``nssa-gis evaluate`` reads them."""
    table = read_table(folder)
    chosen = class_table(NAMES, table.categories, {})
    return [truth_of(entry, chosen) for entry in table.entries]


def oracle(table, found, protocol):
    """Precision and recall of pycocotools; areas that are not stated are those of the boxes."""
    rows = []
    for image, d in enumerate(found):
        for box, score, label in zip(d.boxes, d.scores, d.labels, strict=True):
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            rows.append({"image_id": image, "category_id": 10 * int(label) + 7, "bbox": bbox, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        full = [{"area": a["bbox"][2] * a["bbox"][3]} | a for a in table["annotations"]]
        gt.dataset = table | {"annotations": full}
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(rows), "bbox")
        run.params.areaRng = [[low, min(high, 1e10)] for low, high in protocol.areas.values()]
        run.params.areaRngLbl = list(protocol.areas)
        run.params.maxDets = list(protocol.limits)
        run.evaluate()
        run.accumulate()
    return run.eval["precision"], run.eval["recall"]


def mean(part):
    return part[part > -1].mean() if (part > -1).any() else math.nan


@pytest.mark.parametrize("name", ["coco", "visdrone", "aitod"])
@pytest.mark.parametrize("seed", range(3))
def test_averages_equal_those_of_pycocotools(tmp_path, name, seed):
    table, found = random_set(tmp_path, seed)
    protocol = PROTOCOLS[name]
    truths = ours(tmp_path)
    if protocol.regions:
        found = [d.take(~ignored(d, t)) for t, d in zip(truths, found, strict=True)]
    precision, recall = oracle(table, found, protocol)
    got = average_precisions(truths, found, len(NAMES), protocol.areas, protocol.limits)
    np.testing.assert_allclose(got.precision, precision, atol=1e-9)
    np.testing.assert_allclose(got.recall, recall, atol=1e-9)
    score = score_protocol(name, truths, found, NAMES)
    assert (score.ap, score.ap50, score.ap75) == pytest.approx(
        tuple(map(mean, (precision[..., 0, -1], precision[0, ..., 0, -1], precision[5, ..., 0, -1]))), abs=1e-9
    )
    for number, area in enumerate(protocol.areas):
        if area != "all":
            assert score.areas[area] == pytest.approx(mean(precision[:, :, :, number, -1]), abs=1e-9), area
    for number, limit in enumerate(protocol.limits):
        assert score.recalls[limit] == pytest.approx(mean(recall[:, :, 0, number]), abs=1e-9)
    for label, class_score in enumerate(score.classes):
        assert class_score.ap == pytest.approx(mean(precision[:, :, label, 0, -1]), abs=1e-9)
    assert 0.05 < score.ap < 0.95, "a comparison of nothing with nothing proves nothing"


@pytest.mark.parametrize("seed", range(3))
def test_the_data_has_what_is_compared(tmp_path, seed):
    """Crowds and stated areas must matter, or the comparison would not see them lost."""
    table, found = random_set(tmp_path, seed)
    protocol = PROTOCOLS["aitod"]
    precision, _ = oracle(table, found, protocol)
    plain = [a for a in table["annotations"] if not a["iscrowd"]]
    no_crowds, _ = oracle(table | {"annotations": plain}, found, protocol)
    assert abs(mean(precision[:, :, :, 0, -1]) - mean(no_crowds[:, :, :, 0, -1])) > 1e-3
    boxes_only = [{k: v for k, v in a.items() if k != "area"} for a in table["annotations"]]
    no_areas, _ = oracle(table | {"annotations": boxes_only}, found, protocol)
    assert np.abs(precision - no_areas)[..., 1:, :].max() > 1e-3
    # boxes on the edge of two bins lose it in float32, and as differences of corners
    edge = [np.array(a["bbox"]) for a in plain if "area" not in a and a["bbox"][2] * a["bbox"][3] in (64, 256, 1024)]
    assert len(edge) > 10
    lost = [(np.float32(x + w) - np.float32(x)) * (np.float32(y + h) - np.float32(y)) != w * h for x, y, w, h in edge]
    assert any(lost)


@pytest.mark.parametrize("seed", range(3))
def test_our_own_curve_equals_that_of_pycocotools(tmp_path, seed):
    """The operating point is read from it; COCO's is the highest precision from a recall on, at 101 recalls."""
    table, found = random_set(tmp_path, seed)
    precision, recall = oracle(table, found, PROTOCOLS["aitod"])
    score = score_protocol("aitod", ours(tmp_path), found, NAMES)
    for label, name in enumerate(NAMES):
        curve = score.curves[name]
        assert curve.recall[-1] == pytest.approx(recall[0, label, 0, -1], abs=1e-9)
        best = [curve.precision[curve.recall >= r].max(initial=0) for r in np.linspace(0, 1, 101)]
        np.testing.assert_allclose(best, precision[0, :, label, 0, -1], atol=1e-9)

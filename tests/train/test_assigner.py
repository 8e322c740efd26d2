import math

import pytest
import torch

from nssa_gis.model.head import points_of
from nssa_gis.train.assigner import ASSIGNERS, GaussianTopK, TaskAligned, gaussian_similarity
from nssa_gis.train.measures import box_iou


@pytest.fixture
def scene():
    points = torch.cat((points_of(16, 16, 4), points_of(8, 8, 8)))
    strides = torch.cat((torch.full((256,), 4.0), torch.full((64,), 8.0)))
    boxes = torch.cat((points - strides[:, None] * 1.5, points + strides[:, None] * 1.5), 1)
    return points, strides, boxes, torch.full((320, 2), 0.1)


def test_similarity_of_an_equal_box_is_one_and_follows_the_formula():
    points = torch.tensor([[20.0, 20.0], [24.0, 20.0]])
    truth = torch.tensor([[14.0, 14.0, 26.0, 26.0], [12.0, 17.0, 28.0, 23.0]])
    got = gaussian_similarity(points, torch.tensor([12.0, 12.0]), truth)
    assert got[0, 0].item() == pytest.approx(1)
    kl = 0.5 * (4 * 4**2 / 12**2)
    assert got[0, 1].item() == pytest.approx(1 / (1 + kl))
    kl = 0.5 * (144 / 256 + 144 / 36 + math.log(256 / 144) + math.log(36 / 144) - 2)
    assert got[1, 0].item() == pytest.approx(1 / (1 + kl), rel=1e-5)


def test_gaussian_picks_k_points_near_the_object_at_the_fitting_level(scene):
    points, strides, boxes, scores = scene
    truth = torch.tensor([[15.0, 15.0, 27.0, 27.0], [20.0, 30.0, 44.0, 54.0]])
    found = GaussianTopK(top=3)(points, strides, boxes, scores, truth, torch.tensor([0, 1]))
    assert sorted(found.objects.tolist()) == [0, 0, 0, 1, 1, 1]
    near = points[found.points] - (truth[found.objects, :2] + truth[found.objects, 2:]) / 2
    assert near.abs().max() <= 8
    assert set(strides[found.points[found.objects == 1]].tolist()) == {8.0}
    expected = box_iou(boxes[found.points], truth[found.objects]).clamp(min=0.1)
    torch.testing.assert_close(found.quality, expected)


def test_contested_point_goes_to_the_more_similar_and_nobody_goes_empty(scene):
    points, strides, boxes, scores = scene
    # five objects on nearly the same spot want the same three points
    truth = torch.tensor([[15.0 + i * 0.1, 15.0, 27.0 + i * 0.1, 27.0] for i in range(5)])
    found = GaussianTopK(top=3)(points, strides, boxes, scores, truth, torch.zeros(5, dtype=torch.int64))
    assert len(set(found.points.tolist())) == len(found.points)
    assert set(found.objects.tolist()) == set(range(5))


def test_task_aligned_prefers_confident_and_overlapping_points(scene):
    points, strides, boxes, scores = scene
    truth = torch.tensor([[14.0, 14.0, 26.0, 26.0]])
    scores = scores.clone()
    best = int(((points - 20) ** 2).sum(1).argmin())
    boxes = boxes.clone()
    boxes[best] = truth[0]
    scores[best, 1] = 0.9
    found = TaskAligned(top=4)(points, strides, boxes, scores, truth, torch.tensor([1]))
    assert len(found.points) == 4
    assert found.points[found.quality.argmax()] == best
    assert found.quality.max().item() == pytest.approx(1, abs=1e-3)


def test_task_aligned_floor_reaches_points_outside_a_tiny_object(scene):
    points, strides, boxes, scores = scene
    tiny = torch.tensor([[20.5, 20.5, 21.5, 21.5]])  # between the points: none lies inside
    label = torch.tensor([0])
    assert len(TaskAligned(floor=0.0)(points, strides, boxes, scores, tiny, label).points) == 0
    assert len(TaskAligned(floor=12.0)(points, strides, boxes, scores, tiny, label).points) > 0


@pytest.mark.parametrize("name", ASSIGNERS)
def test_no_objects(name, scene):
    found = ASSIGNERS[name]()(*scene, torch.empty(0, 4), torch.empty(0, dtype=torch.int64))
    assert [len(c) for c in found] == [0, 0, 0]

import math

import pytest
import torch

from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork, Predictions
from nssa_gis.train.assigner import GaussianTopK
from nssa_gis.train.losses import Truth, detection_loss
from nssa_gis.train.measures import box_iou, distance_iou, wasserstein_similarity


def test_box_measures_by_hand():
    a, b = torch.tensor([0.0, 0, 10, 10]), torch.tensor([5.0, 0, 15, 10])
    assert box_iou(a, b).item() == pytest.approx(50 / 150)
    assert distance_iou(a, b).item() == pytest.approx(50 / 150 - 25 / (15**2 + 10**2))
    assert wasserstein_similarity(a, b).item() == pytest.approx(math.exp(-5 / 10), rel=1e-4)
    wide = torch.tensor([0.0, 0, 14, 10])  # centre 2 off, 4 wider: W^2 = 4 + 16 / 4
    assert wasserstein_similarity(wide, a).item() == pytest.approx(math.exp(-math.sqrt(8) / 10), rel=1e-4)
    assert distance_iou(a, a).item() == pytest.approx(1)


def truth(boxes=(), labels=(), ignore=(), ignore_class=()):
    return Truth(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(ignore, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(ignore_class, dtype=torch.int64),
    )


@pytest.fixture(scope="module")
def model():
    return DetectionNetwork(named_config("nssa-n", 2))


def outputs(points=320, fill=-4.0):
    logits = torch.full((1, points, 2), fill, requires_grad=True)
    return Predictions(logits, torch.zeros(1, points, 4, requires_grad=True))


def test_ignore_areas_give_no_class_loss_and_class_blind_ones_only_for_their_class(model):
    points, _ = model.points(64, 64)
    for area, kind in ((-1, [True, True]), (1, [False, True])):
        out = outputs()
        losses = detection_loss(model, out, [truth(ignore=[[0, 0, 32, 64]], ignore_class=[area])], GaussianTopK(), 64)
        losses.total.backward()
        silent = out.logits.grad[0] == 0
        inside = points[:, 0] < 32
        assert not silent[~inside].any()
        assert silent[inside].all(0).tolist() == kind
        assert losses.positives == 0


def test_a_positive_inside_an_ignore_area_still_learns(model):
    out = outputs()
    t = truth([[8, 8, 20, 20]], [1], [[0, 0, 64, 64]], [-1])
    losses = detection_loss(model, out, [t], GaussianTopK(), 64)
    losses.total.backward()
    assert losses.positives == 3
    assert (out.logits.grad[0] != 0).any(1).sum() == 3
    assert (out.distances.grad[0] != 0).any(1).sum() == 3


def test_a_positive_teaches_nothing_about_a_class_that_is_not_labelled(model):
    out = outputs()
    t = truth([[8, 8, 20, 20]], [0], [[0, 0, 64, 64]], [1])
    losses = detection_loss(model, out, [t], GaussianTopK(), 64)
    losses.total.backward()
    assert losses.positives == 3
    assert (out.logits.grad[0, :, 1] == 0).all()
    assert (out.logits.grad[0, :, 0] != 0).all()


def test_perfect_prediction_has_less_loss(model):
    points, strides = model.points(64, 64)
    box = torch.tensor([8.0, 8, 20, 20])
    good = outputs()
    sides = torch.cat((points - box[:2], box[2:] - points), 1).clamp(min=0.01)
    exact = Predictions(good.logits, (sides / strides[:, None]).log()[None])
    t = [truth([box.tolist()], [0])]
    assert detection_loss(model, exact, t, GaussianTopK(), 64).boxes < 0.01
    assert detection_loss(model, good, t, GaussianTopK(), 64).boxes > 0.1


def test_empty_crop_is_finite(model):
    out = outputs()
    assert torch.isfinite(detection_loss(model, out, [truth()], GaussianTopK(), 64).total)

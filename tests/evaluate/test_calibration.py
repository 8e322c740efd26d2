import numpy as np
import pytest

from nssa_gis.evaluate.calibration import PlattScaling, calibration_error, fit_platt_scaling, reliability


def drawn(line, n=40_000, seed=0):
    """Detections that are right as often as ``line`` makes of their score."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.02, 0.98, n)
    return scores, rng.random(n) < line(scores)


@pytest.mark.parametrize("line", [PlattScaling(1.7, 0.6), PlattScaling(0.5, -1.0), PlattScaling(1.0, 0.0)])
def test_the_line_that_was_drawn_from_is_found(line):
    scores, hits = drawn(line)
    found = fit_platt_scaling(scores, hits)
    assert (found.slope, found.offset) == (pytest.approx(line.slope, abs=0.06), pytest.approx(line.offset, abs=0.06))
    assert calibration_error(found(scores), hits) < 0.015


@pytest.mark.parametrize("seed", range(30))
def test_low_scores_far_from_the_start_are_fitted_too(seed):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.02, 0.2, 3000)
    line = PlattScaling(rng.uniform(0.5, 3.0), rng.uniform(2.0, 6.0))
    hits = rng.random(3000) < line(scores)
    found = fit_platt_scaling(scores, hits)
    assert (found.slope, found.offset) == (pytest.approx(line.slope, abs=0.5), pytest.approx(line.offset, abs=1.2))


def test_the_error_of_wrong_scores():
    scores, hits = drawn(PlattScaling(1.0, 1.5))
    before = calibration_error(scores, hits)
    assert before > 0.15
    assert calibration_error(fit_platt_scaling(scores, hits)(scores), hits) < before / 10


def test_by_hand():
    scores = np.array([0.95, 0.91, 0.35, 0.31, 0.05])
    hits = np.array([True, True, True, False, False])
    score, precision, count = reliability(scores, hits)
    assert count.tolist() == [1, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert (score[9], precision[9]) == (pytest.approx(0.93), 1.0)
    assert (score[3], precision[3]) == (pytest.approx(0.33), 0.5)
    assert np.isnan(score[1])
    # the one below 0.1 does not count: (2 * 0.07 + 2 * 0.17) / 4
    assert calibration_error(scores, hits) == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("scores", "hits"),
    [([], []), ([0.5, 0.9], [True, True]), ([0.5, 0.9], [False, False]), ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0])],
)
def test_nothing_to_learn_changes_nothing(scores, hits):
    assert fit_platt_scaling(np.array(scores), np.array(hits, bool)) == PlattScaling()


def test_a_perfect_detector_stays_finite():
    line = fit_platt_scaling(np.array([0.1] * 50 + [0.9] * 50), np.array([False] * 50 + [True] * 50))
    assert 0 < line.slope < 10 and line(0.9) > 0.9 > 0.1 > line(0.1)


def test_order_is_kept_and_extremes_are_safe():
    line = PlattScaling(2.0, -0.5)
    scores = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    assert (np.diff(line(scores)) > 0).all() and np.isfinite(line(scores)).all()

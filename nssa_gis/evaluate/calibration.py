"""Calibration: whether a score is the share of right detections, and Platt scaling, which makes it so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Newton steps; the two-parameter fit converges in fewer than ten where the start is not far off.
_STEPS = 60
#: Scores this near to 0 or 1 count as this near: their logits stay finite.
_EDGE = 1e-6
#: Weaker detections are left out of the error: there are thousands, nearly all false, and no user keeps them.
_FLOOR = 0.1

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class PlattScaling:
    """``logit' = slope * logit + offset``: temperature ``1 / slope`` and a shift.

    A temperature alone turns about 0.5, where a detector trained on soft targets has no reason to be right.

    Attributes
    ----------
    slope, offset : float
        1 and 0 change nothing.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, scores: Floats | float) -> NDArray[np.float64]:
        """Scores after the line, 0 to 1; it never changes their order."""
        return 1 / (1 + np.exp(-(self.slope * _logit(scores) + self.offset)))


def fit_platt_scaling(scores: Floats, hits: NDArray[np.bool_]) -> PlattScaling:
    """Fit by maximum likelihood (Platt 1999): the score becomes the share of such detections that are right.

    Parameters
    ----------
    scores : ndarray, shape (N,)
        Of detections.
    hits : ndarray of bool, shape (N,)
        Which are right.

    Returns
    -------
    PlattScaling
        The one that changes nothing where there is nothing to learn from: no right or no wrong detection, or scores
        that do not rise with rightness.
    """
    if len(scores) == 0 or hits.all() or not hits.any():
        return PlattScaling()
    x = np.stack((_logit(scores), np.ones(len(scores))), 1)
    # Platt's targets keep the likelihood finite if right and wrong detections can be separated completely
    right, wrong = float(hits.sum()), float((~hits).sum())
    target = np.where(hits, (right + 1) / (right + 2), 1 / (wrong + 2))
    line, best = np.array([1.0, 0.0]), -np.inf
    step = np.zeros(2)
    for _ in range(_STEPS):
        # logistic regression is concave: halving the step until the likelihood rises always arrives
        while (likelihood := _likelihood(x @ (line + step), target)) < best and np.abs(step).max() > 1e-12:
            step /= 2
        line, best = line + step, max(best, likelihood)
        p = 1 / (1 + np.exp(-(x @ line)))
        curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, x.T @ (target - p))
        if np.abs(step).max() < 1e-8:
            break
    if not np.isfinite(line).all() or line[0] <= 0:
        return PlattScaling()
    return PlattScaling(float(line[0]), float(line[1]))


def reliability(
    scores: Floats, hits: NDArray[np.bool_], bins: int = 10
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean score and share of right detections in bins of equal width.

    Parameters
    ----------
    scores : ndarray, shape (N,)
        Of detections.
    hits : ndarray of bool, shape (N,)
        Which are right.
    bins : int
        Number of bins between 0 and 1.

    Returns
    -------
    score, precision : ndarray, shape (bins,)
        NaN in an empty bin.
    count : ndarray, shape (bins,)
    """
    place = np.clip((np.asarray(scores, np.float64) * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return np.bincount(place, scores, bins) / count, np.bincount(place, hits, bins) / count, count


def calibration_error(scores: Floats, hits: NDArray[np.bool_], bins: int = 10) -> float:
    """Give the expected calibration error, |score - precision| over detections from 0.1 on; NaN without any."""
    kept = scores >= _FLOOR
    if not kept.any():
        return float("nan")
    score, precision, count = reliability(scores[kept], hits[kept], bins)
    return float((np.abs(score - precision) * count)[count > 0].sum() / count.sum())


def _likelihood(logits: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    return float((target * logits - np.logaddexp(0, logits)).sum())


def _logit(scores: Floats | float) -> NDArray[np.float64]:
    p = np.clip(np.asarray(scores, np.float64), _EDGE, 1 - _EDGE)
    return np.log(p / (1 - p))

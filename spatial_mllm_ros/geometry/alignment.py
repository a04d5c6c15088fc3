"""Similarity transforms between point sets: least squares, and with outliers.

Names read target first: `target = target_from_source.apply(source)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError

__all__ = ["Alignment", "Sim3", "align_cameras", "align_points", "umeyama"]

_NUM_TRIPLES = 200  # of pairs half of which are wrong, one triple in eight is right
_NUM_JUDGES = 500
_MAX_ROUNDS = 60
_LINE = 1e-12  # second over first spread, below which points lie on one line
_TYPICAL = 0.4  # percentile of the misfits that stands for a good pair's, even where over half of the pairs are bad
_KERNEL_WIDTH = 3.5  # of the kernel at the end, in typical misfits
_CONVERGED = 0.999  # the typical misfit shrank by less than this
_EXACT = 1e-9  # share of the extent at which a misfit is rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Sim3:
    """Rotation, scale and translation: `scale * rotation @ point + translation`.

    Attributes:
        rotation: float64 [3,3].
        translation: float64 [3], in the target's unit.
        scale: units of the target in one unit of the source, above 0.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    scale: float

    @classmethod
    def identity(cls) -> Sim3:
        """Return the transform that changes nothing."""
        return cls(rotation=np.eye(3), translation=np.zeros(3), scale=1.0)

    def apply(self, points: NDArray) -> NDArray:
        """Transform points [...,3]; the dtype stays, NaN stays NaN."""
        linear = (self.scale * self.rotation).astype(points.dtype)
        return points @ linear.T + self.translation.astype(points.dtype)

    def inverse(self) -> Sim3:
        """Return the transform from target to source."""
        rotation = self.rotation.T
        return Sim3(rotation=rotation, translation=-rotation @ self.translation / self.scale, scale=1 / self.scale)


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """A fitted transform and how well it fits.

    Attributes:
        target_from_source: the transform.
        residual: typical misfit as a share of the target's extent (root mean square distance from its middle).
    """

    target_from_source: Sim3
    residual: float


def umeyama(source: NDArray, target: NDArray, weights: NDArray | None = None) -> Sim3:
    """Fit the similarity with the least weighted sum of squared misfits.

    Args:
        source, target: [N,3], points that belong together, finite.
        weights: [N], at least 0; equal if None.

    Raises:
        InputError: if shapes disagree, or the points with weight are fewer than 3 or on one line.

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns".
    """
    weights = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3 or weights.shape != source.shape[:1]:
        raise InputError(f"points to align must be [N,3] twice, not {list(source.shape)} and {list(target.shape)}")
    if not weights.sum() > 0:
        raise InputError("no point has weight, so there is nothing to align by")
    rotation, translation, scale = (part[0] for part in _least_squares(source[None], target[None], weights[None]))
    if not scale > 0:
        raise InputError("points to align must not lie on one line")
    return Sim3(rotation=rotation, translation=translation, scale=float(scale))


def align_points(source: NDArray, target: NDArray, weights: NDArray | None = None) -> Alignment:
    """Fit a similarity to pairs of points of which some do not belong together.

    The start is the best of many fits to three random pairs each (least median of squares, Rousseeuw 1984). From there,
    least squares again and again, each time with less weight on what fits badly (Geman-McClure kernel, as wide as a few
    typical misfits). Stands half of all pairs being wrong (`test_a_known_similarity_is_recovered_among_outliers`).

    Args:
        source, target: [N,3]; pairs with a NaN or an infinite coordinate do not count.
        weights: [N], confidence of each pair, at least 0; equal if None.

    Returns:
        The alignment, the same for the same input.

    Raises:
        InputError: as for `umeyama`.
    """
    weights = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    counts = (weights > 0) & np.isfinite(source).all(axis=-1) & np.isfinite(target).all(axis=-1)
    source, target, weights = source[counts].astype(np.float64), target[counts].astype(np.float64), weights[counts]
    fitted = umeyama(source, target, weights)
    fitted = _best_of_triples(source, target, weights) or fitted
    exact = _EXACT * _extent(target, weights)
    last_typical = np.inf
    for _ in range(_MAX_ROUNDS):
        misfit = np.linalg.norm(target - fitted.apply(source), axis=1)
        typical = _percentile(misfit, weights, _TYPICAL)
        if typical > _CONVERGED * last_typical:
            break
        last_typical = typical
        width = max(_KERNEL_WIDTH * typical, exact)
        fitted = umeyama(source, target, weights / (1 + (misfit / width) ** 2) ** 2)
    is_inlier = misfit <= max(_KERNEL_WIDTH * typical, exact)
    extent = _extent(target[is_inlier], weights[is_inlier])
    return Alignment(target_from_source=fitted, residual=typical / extent if extent else np.inf)


def align_cameras(source_from_camera: NDArray, target_from_camera: NDArray) -> Alignment:
    """Fit a similarity to cameras whose poses are known in both frames.

    Rotation comes from the cameras' orientations, so that cameras on one line are enough; scale and translation from
    their centres.

    Args:
        source_from_camera, target_from_camera: [T,4,4] or [T,3,4], rigid transforms of the same T cameras.

    Returns:
        The alignment; its residual is the median error of the centres as a share of their extent. It is infinite if
        the cameras stand in one place (then the scale cannot be known), or a number is not finite.
    """
    source, target = np.asarray(source_from_camera, np.float64), np.asarray(target_from_camera, np.float64)
    nothing = Alignment(target_from_source=Sim3.identity(), residual=np.inf)
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        return nothing
    u, _, vt = np.linalg.svd(np.einsum("tij,tkj->ik", target[:, :3, :3], source[:, :3, :3]))
    rotation = (u * [1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt))]) @ vt
    turned, centres = source[:, :3, 3] @ rotation.T, target[:, :3, 3]
    turned_mean, centre_mean = turned.mean(axis=0), centres.mean(axis=0)
    spread = ((turned - turned_mean) ** 2).sum()
    scale = float(((turned - turned_mean) * (centres - centre_mean)).sum() / spread) if spread > 0 else 0.0
    if not scale > 0:
        return nothing
    fitted = Sim3(rotation=rotation, translation=centre_mean - scale * turned_mean, scale=scale)
    error = np.linalg.norm(centres - fitted.apply(source[:, :3, 3]), axis=1)
    return Alignment(
        target_from_source=fitted, residual=float(np.median(error)) / _extent(centres, np.ones(len(centres)))
    )


def _best_of_triples(source: NDArray, target: NDArray, weights: NDArray) -> Sim3 | None:
    """Fit three pairs, many times, and return the fit whose typical misfit is least; None if all are degenerate."""
    rng = np.random.default_rng(0)
    share = weights / weights.sum()
    triples = rng.choice(len(source), (_NUM_TRIPLES, 3), p=share)
    judges = rng.choice(len(source), min(_NUM_JUDGES, len(source)), p=share)
    rotation, translation, scale = _least_squares(source[triples], target[triples], np.ones(triples.shape))
    moved = scale[:, None, None] * (source[judges] @ rotation.transpose(0, 2, 1)) + translation[:, None]  # [B,N,3]
    rank = int(_TYPICAL * (len(judges) - 1))
    typical = np.partition(np.linalg.norm(target[judges] - moved, axis=2), rank, axis=1)[:, rank]
    typical[scale <= 0] = np.inf
    best = int(typical.argmin())
    if not np.isfinite(typical[best]):
        return None
    return Sim3(rotation=rotation[best], translation=translation[best], scale=float(scale[best]))


def _least_squares(source: NDArray, target: NDArray, weights: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Fit B times: [B,N,3] twice and [B,N] to rotations [B,3,3], translations [B,3] and scales [B], 0 if degenerate."""
    weights = (weights / weights.sum(axis=1, keepdims=True))[..., None]
    source_mean, target_mean = (weights * source).sum(axis=1), (weights * target).sum(axis=1)
    from_mean = source - source_mean[:, None]
    covariance = (weights * (target - target_mean[:, None])).transpose(0, 2, 1) @ from_mean  # target by source
    u, spread, vt = np.linalg.svd(covariance)
    signs = np.ones_like(spread)
    signs[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))  # so that it is a rotation, not a mirror
    rotation = (u * signs[:, None]) @ vt
    is_line = ~(spread[:, 1] > _LINE * spread[:, 0])
    variance = (weights * from_mean**2).sum(axis=(1, 2))
    scale = np.where(is_line, 0.0, (signs * spread).sum(axis=1) / np.where(is_line, 1.0, variance))
    return rotation, target_mean - scale[:, None] * np.einsum("bij,bj->bi", rotation, source_mean), scale


def _extent(points: NDArray, weights: NDArray) -> float:
    middle = np.average(points, axis=0, weights=weights)
    return float(np.sqrt(np.average(((points - middle) ** 2).sum(axis=1), weights=weights)))


def _percentile(values: NDArray, weights: NDArray, share: float) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(cumulative, cumulative[-1] * share)]])

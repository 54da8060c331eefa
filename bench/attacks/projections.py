"""Sizes of perturbations, and nearest points: in a ball, in the box [0, 1], on a hyperplane within the box.

Everything reduces over the last three dimensions by name of dimension, so any memory format will do.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from bench.errors import UsageError
from bench.tensors import Distances, Images
from bench.threats import Norm, ThreatModel

Deltas = Float[Tensor, "batch channels height width"]
"""Differences of images."""

_PIXELS = (1, 2, 3)
_ULP = 2.0**-24  # spacing of float32 just below 1, the coarsest in the box
_LENGTH_SLACK = 1e-6  # rounding of a Euclidean length summed in float32
_TINY = 1e-12  # keeps divisions by a vanishing length defined, in pixel units or relative to the largest number
_SMALLEST = -125  # exponent of the smallest float32 that keeps all of its digits
_NEWTON_STEPS = 64  # three to six suffice on images
_LOOK = 4  # steps between looks at convergence where looking makes the host wait


def size(delta: Deltas, norm: Norm) -> Distances:
    """Measure each perturbation in ``norm``.

    Raises:
        UsageError: for L0, which has no gradient geometry and is counted elsewhere.
    """
    if norm is Norm.LINF:
        return delta.abs().amax(dim=_PIXELS)
    if norm is Norm.L2:
        return torch.linalg.vector_norm(delta, dim=_PIXELS)
    raise UsageError(f"This attack measures perturbations in Linf or L2, not in {norm}: take a sparse attack.")


def spread(per_point: Shaped[Tensor, " batch"]) -> Shaped[Tensor, "batch 1 1 1"]:
    """Shape one number or flag per point so that it goes with images."""
    return per_point[:, None, None, None]


def safe_radius(threat: ThreatModel) -> float:
    """Return the radius, reduced by the rounding of float32, so that a candidate on the rim still measures inside."""
    radius = float(threat.epsilon)
    rim = radius * (1 - _LENGTH_SLACK) - 2 * _ULP if threat.norm is Norm.L2 else radius - _ULP
    return max(rim, radius / 2)


def direction(delta: Deltas, norm: Norm) -> Deltas:
    """Scale each perturbation, or each gradient however tiny, to size 1; a zero one stays zero."""
    even = evened(delta)
    length = size(even, norm)
    return even / spread(torch.where(length > 0, length, 1))


def evened(values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """Multiply each row by the power of two that brings its largest number to about 1, so that no square vanishes."""
    exponent = torch.frexp(values.flatten(1).abs().amax(dim=1)).exponent.clamp_min(_SMALLEST)
    return torch.ldexp(values, -exponent.view(-1, *[1] * (values.ndim - 1)))


def onto_ball(delta: Deltas, radius: Float[Tensor, " batch"], norm: Norm) -> Deltas:
    """Return the nearest point of each perturbation's ball; points inside stay put."""
    if norm is Norm.LINF:
        bound = spread(radius)
        return torch.clamp(delta, -bound, bound)
    return delta * spread((radius / size(delta, norm).clamp_min(_TINY)).clamp_max(1))


class Ball:
    """The images of the box [0, 1] within a radius of some originals."""

    def __init__(self, originals: Images, norm: Norm, radius: float) -> None:
        self._originals = originals
        self._norm = norm
        self._rim = originals.new_full((len(originals),), radius)
        if norm is Norm.LINF:
            self.lower = (originals - radius).clamp_min_(0)
            self.upper = (originals + radius).clamp_max_(1)

    def project(self, images: Images) -> Images:
        """Return images of the ball: the nearest ones for Linf, for L2 onto the ball and then into the box."""
        if self._norm is Norm.LINF:
            return torch.clamp(images, self.lower, self.upper)
        delta = images - self._originals
        return (self._originals + onto_ball(delta, self._rim, self._norm)).clamp_(0, 1)


class _Piecewise(NamedTuple):
    """g(λ) = Σᵢ min(λ·rateᵢ, capᵢ), which grows with λ and is concave."""

    rate: Float[Tensor, "batch numbers"]
    cap: Float[Tensor, "batch numbers"]
    bend: Float[Tensor, "batch numbers"]
    """Where the i-th summand stops growing: capᵢ/rateᵢ."""


def onto_hyperplane(images: Images, normal: Deltas, excess: Float[Tensor, " batch"], norm: Norm) -> Deltas:
    """Return the smallest step from each image to its hyperplane that stays in the box [0, 1].

    The step δ solves ⟨normal, δ⟩ = −excess with 0 ≤ image + δ ≤ 1, of least size in ``norm``; where the box does not
    reach the hyperplane, it goes as far as the box allows. Numbers that the hyperplane ignores do not move.

    Moving number i by at most its room mᵢ towards the plane, the optimum moves each by min(λ, mᵢ) for Linf and by
    min(λ|wᵢ|, mᵢ) for L2, with the one λ that covers the excess. That λ is the root of a concave, piecewise linear,
    growing function, so Newton's method from the left climbs to it and ends exactly there, without sorting.

    Source:
        The problem is that of Croce & Hein 2020, arXiv:1907.02044.
    """
    shape = images.shape
    start = images.reshape(shape[0], -1)
    scale = normal.abs().amax(dim=_PIXELS).clamp_min(torch.finfo(normal.dtype).tiny)
    toward = (normal * spread(-excess.sign() / scale)).reshape(shape[0], -1)
    room = torch.gt(toward, 0, out=torch.empty_like(start)).sub_(start).abs_()  # 1 - start where it grows, else start
    weight = toward.abs()
    if norm is Norm.LINF:
        root = _climb(_Piecewise(weight, weight * room, room), excess.abs() / scale)
        length = torch.minimum(root, room)
    else:
        bend = torch.where(weight > 0, room / weight, torch.inf)
        root = _climb(_Piecewise(weight.square(), weight * room, bend), excess.abs() / scale)
        length = torch.minimum(root * weight, room)
    return (length * toward.sign()).reshape(shape)


def _climb(g: _Piecewise, need: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1"]:
    """Return the smallest λ with g(λ) ≥ need, or one beyond every bend where there is none."""
    most = torch.finfo(need.dtype).max
    all_caps = g.cap.sum(dim=1)
    need = need.clamp_max(most)
    root = (need / g.rate.sum(dim=1).clamp_min(_TINY)).clamp_max(most)[:, None]
    period = 1 if root.device.type == "cpu" else _LOOK
    growing, product = torch.empty_like(g.rate), torch.empty_like(g.rate)  # fresh memory costs more than filling it
    for turn in range(_NEWTON_STEPS):
        torch.gt(g.bend, root, out=growing)  # as numbers at once: turning flags into numbers costs ten times as much
        rate = torch.mul(growing, g.rate, out=product).sum(dim=1)
        cap = torch.mul(growing, g.cap, out=product).sum(dim=1)
        ahead = torch.where(rate > 0, (need - (all_caps - cap)) / rate.clamp_min(_TINY), most)
        before, root = root, torch.maximum(root, ahead.clamp_max(most)[:, None])
        if turn % period == period - 1 and torch.equal(root, before):
            break
    return root

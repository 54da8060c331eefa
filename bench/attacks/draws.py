"""Random numbers that depend on the point and never on the batch it sits in.

Every number is a hash of (seed, attack, round, point id, step, lane), computed with 64-bit integer tensor arithmetic
that wraps, so a point meets the same draws at any batch size, in any order, on any number of workers, on CPU and GPU.
The hash is the finaliser of SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195) applied once a key part.
"""

import hashlib
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench.tensors import Ids

_ROUND = -0x2E4ABA5CD2E6D12D  # 0xD1B545A32D192ED3 as a signed number; any odd number serves
_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number
_FIRST = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_SECOND = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shift right without copying the sign bit, which torch does not offer for int64."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


@dataclass(frozen=True, slots=True)
class Draws:
    """The random numbers of one round of one attack.

    Attributes:
        seed: the protocol's seed.
        attack: name of the attack.
        round: which round of the attack (target class, rung of a ladder, restart); one per point where the harness
            runs alike rounds side by side.
    """

    seed: int
    attack: str
    round: int | Ids

    def bits(self, ids: Ids, step: int, lanes: int) -> Int[Tensor, "batch lanes"]:
        """Return 64 random bits per point and lane, as signed integers."""
        return self._lanes(ids, step, torch.arange(lanes, device=ids.device))

    def uniform(self, ids: Ids, step: int, lanes: int) -> Float[Tensor, "batch lanes"]:
        """Return float32 numbers in [0, 1), multiples of 2⁻²⁴."""
        return _shift(self.bits(ids, step, lanes), 40).to(torch.float32) * 2.0**-24

    def signs(self, ids: Ids, step: int, lanes: int) -> Float[Tensor, "batch lanes"]:
        """Return −1 or +1, float32."""
        return _shift(self.bits(ids, step, lanes), 63).to(torch.float32) * 2 - 1

    def integers(self, ids: Ids, step: int, lanes: int, high: int) -> Int[Tensor, "batch lanes"]:
        """Return integers in [0, high), int64; the bias for high ≤ 2²⁰ is below 2⁻³⁰."""
        return (_shift(self.bits(ids, step, lanes), 11) % high).to(torch.int64)

    def normal(self, ids: Ids, step: int, lanes: int) -> Float[Tensor, "batch lanes"]:
        """Return standard normal numbers, float32 (Box & Muller, computed in float64)."""
        bits = self.bits(ids, step, 2 * lanes)
        radius = (_shift(bits[:, :lanes], 11).double() + 1) * 2.0**-53
        angle = _shift(bits[:, lanes:], 11).double() * (2 * math.pi * 2.0**-53)
        return ((-2 * radius.log()).sqrt() * angle.cos()).float()

    def permutation(self, ids: Ids, step: int, size: int) -> Int[Tensor, "batch size"]:
        """Return a random order of ``range(size)`` per point."""
        return self.bits(ids, step, size).argsort(dim=1, stable=True)

    def _lanes(self, ids: Ids, step: int, lanes: Int[Tensor, " lanes"]) -> Int[Tensor, "batch lanes"]:
        name = int.from_bytes(hashlib.sha256(self.attack.encode()).digest()[:8], "little")
        turn = _signed(self.round * _ROUND) if isinstance(self.round, int) else self.round * _ROUND
        stream = turn ^ _signed(self.seed * 0x9E3779B97F4A7C15 + name)
        point = _mix(_mix(ids + stream) + ids * _GOLDEN)
        moment = _mix(point + _signed((step + 1) * 0xD1342543DE82EF95))
        return _mix(moment[:, None] + (lanes[None, :] + 1) * _GOLDEN)

"""Random numbers of recipes and regimes, the same on every machine and device."""

import hashlib

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def uniform(count: int, *, seed: int, purpose: str) -> Float[Tensor, " count"]:
    """Return ``count`` float64 numbers in [0, 1), multiples of 2⁻⁵³, that depend on the seed and the purpose alone.

    Raw Philox words are used because numpy promises that their stream never changes.
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}|{purpose}".encode()).digest()[:16], "little")
    words = np.random.Philox(key=key).random_raw(count)
    return torch.from_numpy((words >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def permutation(count: int, *, seed: int, purpose: str) -> list[int]:
    """Return a random order of ``range(count)``."""
    order: list[int] = uniform(count, seed=seed, purpose=purpose).argsort(stable=True).tolist()
    return order

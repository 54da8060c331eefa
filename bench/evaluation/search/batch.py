"""How many points an attack works on at once where the user does not say."""

import torch

_MOST = 512
_LEAST = 16
_CACHED = 200_000
"""Numbers of an attack's images that stay in a core's cache with what is computed from them."""
_HEAVY = 32
"""Enough for a processor where the network takes nearly all of the time."""
_FILLING = 400_000_000_000
"""Multiply-accumulates that fill an accelerator; a processor is as fast with a hundredth."""


def automatic_batch(macs: int, numbers: int, device: torch.device) -> int:
    """Return how many points to attack at once; verdicts do not depend on it.

    On a processor as many as stay in its cache; on an accelerator as many as fill it, which the cascade halves where
    memory runs out.

    Args:
        macs: multiply-accumulates of the network per image.
        numbers: numbers per image.
        device: where it runs.
    """
    work = max(macs, 1)
    if device.type != "cpu":
        return max(_LEAST, min(_MOST, _FILLING // work))
    return max(_LEAST, min(_MOST, _CACHED // numbers, max(_HEAVY, _FILLING // 100 // work)))

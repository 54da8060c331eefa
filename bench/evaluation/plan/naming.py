"""What an entry is called: short for what the benchmark ships and its rules, and different for every other request."""

import hashlib
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from bench.models.source import ModelRef
from bench.models.weights import file_digest

_LONGEST = 60
"""Characters of a model's name that a folder's name takes up."""
_DIGITS = 8
"""Hexadecimal digits that tell apart what looks alike."""


def entry_name(model: ModelRef, recipe: str, sparsity: Fraction | None, regime: str, marks: Sequence[str] = ()) -> str:
    """Return the id of a cell's entry: model, recipe, sparsity in percent, regime, then what sets its run apart.

    Args:
        model: the network that is pruned or attacked.
        recipe: how it is pruned.
        sparsity: share of weights to remove; None where the recipe says it.
        regime: what follows pruning.
        marks: one word each for whatever else was asked that another run may not have.
    """
    parts = [model_name(model), recipe if sparsity is None else f"{recipe}-{percent(sparsity)}"]
    if regime != "one-shot":
        parts.append(regime)
    return "--".join([*parts, *marks])


def model_name(model: ModelRef) -> str:
    """Return what a network is called in names of folders.

    A network that ships with the benchmark is called as it is listed. Any other carries a digest of what it is: its
    reference, or, for a file, content, architecture and normalisation. So files of one name differ, a file that moves
    keeps its name, and one that is written anew gets another.
    """
    stem = model.name.rsplit("/", 1)[-1] if model.source == "checkpoint" else model.name
    plain = re.sub(r"[^a-z0-9._]+", "-", stem.removesuffix(".safetensors").lower())
    if model.source == "embedded" and plain == model.name:
        return plain
    return f"{plain[:_LONGEST].strip('-._') or 'model'}-{_identity(model)}"


def digest(*parts: object) -> str:
    """Return a few digits that other parts would not give."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:_DIGITS]


def _identity(model: ModelRef) -> str:
    if model.source != "checkpoint":
        return digest(model)
    return digest(_content(model.name), model.architecture, model.mean, model.std)


def _content(name: str) -> str:
    try:
        state = Path(name).stat()
        return _sha256(name, state.st_mtime_ns, state.st_size)
    except OSError:
        return name  # nothing is ever measured of a file that cannot be read


@lru_cache(maxsize=64)
def _sha256(name: str, changed: int, size: int) -> str:
    """Return the digest of a file's content; a sweep names the same file many times."""
    del changed, size
    return file_digest(Path(name))


def percent(share: Fraction) -> str:
    """Return a share in characters that a file name can hold: percent as in ``50`` and ``98.4375``, or ``2-of-3``."""
    spelled = f"{float(share * 100):.6f}".rstrip("0").rstrip(".")
    return spelled if Fraction(spelled) == share * 100 else f"{share.numerator}-of-{share.denominator}"

"""Whether what is claimed of a network that came pruned is what was measured on it."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol, runtime_checkable

from bench.submission.schema import ClaimRecord
from bench.submission.score import rate

_SHARE = Fraction(1, 200)
_DENSITY = Fraction(1, 20)


@runtime_checkable
class Found(Protocol):
    """What was measured: a pruning record, or what will become one."""

    @property
    def prunable(self) -> int:
        """Weights that could have been pruned."""
        ...

    @property
    def zeros(self) -> int:
        """Those that were."""
        ...

    @property
    def structure(self) -> str:
        """The pattern that they make."""
        ...


def gaps(claim: ClaimRecord, measured: Found) -> Iterator[str]:
    """Yield one sentence per claim that the measurement does not bear out.

    A sparsity is claimed as papers print it, so it may lie half a percentage point off, but never more than a
    twentieth of the density that it leaves: 99 % is not 99.5 %, twice as many weights.
    """
    if claim.sparsity is not None:
        said, found = Fraction(claim.sparsity), rate(measured.zeros, measured.prunable)
        room = min(_SHARE, _DENSITY * (1 - said))
        if abs(found - said) > room:
            yield (
                f"sparsity {float(said):.4g} is claimed, {float(found):.4g} was measured ({measured.zeros} zeros of "
                f"{measured.prunable} prunable weights); claim what the network has, or name its true parent."
            )
    if claim.structure is not None and not bears_out(claim.structure, measured.structure):
        yield (
            f"structure {claim.structure} is claimed, {measured.structure} was measured; claim what the network has, "
            "or name its true parent."
        )


def bears_out(claimed: str, measured: str) -> bool:
    """Tell whether a structure that was measured is what is claimed; whatever fits two of four is unstructured too."""
    return claimed == measured or (claimed, measured) == ("unstructured", "2of4")

"""Holds a network that came pruned against the dense one it is said to come from, before anything is attacked."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from torch import nn

from bench.errors import ArtefactError, DisagreementError, UsageError
from bench.evaluation.plan.plan import Origin
from bench.models.source import LoadedModel, load
from bench.pruning.kinship import kinship
from bench.pruning.masks import prunable
from bench.pruning.measure import Measured, measure
from bench.pruning.pattern import explains, fits_two_of_four, pattern, why_not, zeros_of
from bench.pruning.recipe import Structure
from bench.submission.claim import bears_out, gaps
from bench.submission.schema import ClaimRecord
from bench.tensors import Images

_PRUNED = Fraction(1, 20)
"""Share of zeros above which a network is no dense parent: what is sparse by chance or training stays far below."""

SCRATCH = "scratch"
"""The regime of a network that was trained anew after pruning, so that its weights are not its parent's."""


@dataclass(frozen=True, slots=True)
class Descent:
    """What a network that came pruned is, against the dense one.

    Attributes:
        parent: the dense network; None where only its architecture is known.
    """

    parent: LoadedModel | None
    measured: Measured
    structure: Structure

    @property
    def zeros(self) -> int:
        """Weights of the parent that are gone."""
        return self.measured.zeros

    @property
    def prunable(self) -> int:
        """Weights that could have gone."""
        return self.measured.prunable


def descend(origin: Origin, loaded: LoadedModel, network: nn.Module, example: Images) -> Descent:
    """Load the parent, measure the network against it tensor by tensor, and hold what is claimed to what was found.

    Checked are the images and classes that both take, every tensor's name and size, that the weights which were kept
    correlate with the parent's at the same places (not where channels are gone, for places no longer agree, nor after
    training from scratch), and the digests that a manifest brings.

    Raises:
        ArtefactError: if the parent named cannot be the parent.
        DisagreementError: if a claim is not what was measured; the message has both figures.
        UsageError: if there is neither a parent nor an architecture that is larger than the network.
    """
    parent = None if origin.parent is None else load(origin.parent)
    dense = loaded.whole if parent is None else parent.classifier
    if dense is None:
        raise UsageError(
            f"{loaded.ref} has every channel of its architecture, so only its dense parent tells what was pruned; name "
            "that with --parent."
        )
    if parent is not None:
        _hold_alike(parent, loaded)
    try:
        measured = measure(dense, network, example)
    except ArtefactError as error:
        raise _no_parent(parent or loaded, loaded, str(error)) from None
    _hold_digests(origin, parent, loaded)
    if parent is not None and origin.regime != SCRATCH:
        _hold_kin(parent, loaded, network, example)
    structure = pattern(dense, network, measured, example)
    if origin.structure == "2of4" and structure is Structure.UNSTRUCTURED and fits_two_of_four(network, example):
        fits = explains(Structure.TWO_OF_FOUR, dense, network, measured, example)
        structure = Structure.TWO_OF_FOUR if fits else structure
    found = Descent(parent, measured, structure)
    for problem in _problems(origin, found):
        wrong = origin.structure is not None and not bears_out(origin.structure, structure)
        why = f" {why_not(origin.structure or '', network, measured, example)}" if wrong else ""
        raise DisagreementError(f"{loaded.ref}: {problem}{why}")
    if parent is not None and origin.parent_weights is None:
        _hold_dense(parent, example)
    return found


def claim_of(origin: Origin) -> ClaimRecord | None:
    """Return what is claimed, as it is recorded; None where nothing is."""
    if origin.sparsity is None and origin.structure is None:
        return None
    return ClaimRecord(sparsity=None if origin.sparsity is None else str(origin.sparsity), structure=origin.structure)


def _problems(origin: Origin, found: Descent) -> Iterator[str]:
    claim = claim_of(origin)
    yield from gaps(claim, found) if claim else ()
    if found.structure is Structure.DENSE:
        yield (
            f"no weight of its parent {origin.parent} is gone ({found.zeros} zeros of {found.prunable} prunable "
            "weights); leave out what is told of a pruning, or name the network that was pruned."
        )


def _hold_alike(parent: LoadedModel, loaded: LoadedModel) -> None:
    if (parent.shape, parent.classes) != (loaded.shape, loaded.classes):
        raise _no_parent(
            parent,
            loaded,
            f"it takes images of shape {parent.shape} and tells {parent.classes} classes apart, the network "
            f"{loaded.shape} and {loaded.classes}",
        )


def _hold_dense(parent: LoadedModel, example: Images) -> None:
    """Refuse a parent that was pruned itself: its zeros would count as its child's, and cost nothing.

    Whoever prunes a sparse network here may go on, as with a recipe, and a flag says what was sparse before.
    """
    zeros = sum(zeros_of(parent.classifier, example).values())
    total = sum(weight.numel() for weight in prunable(parent.classifier, example).values())
    if zeros > _PRUNED * total:
        raise ArtefactError(
            f"{parent.ref} is no dense parent: {zeros} of its {total} prunable weights are zero already. Name the "
            "dense network that it was pruned from."
        )


def _hold_digests(origin: Origin, parent: LoadedModel | None, loaded: LoadedModel) -> None:
    """Hold both networks to the digests that a manifest brings."""
    if origin.weights not in {None, loaded.digest}:
        raise ArtefactError(
            f"{loaded.ref} has weights {loaded.digest[:12]}…, and the manifest beside it tells of "
            f"{origin.weights[:12]}…; if they were trained on, say so with --parent, --method and --regime."
        )
    if parent is not None and origin.parent_weights not in {None, parent.digest}:
        raise _no_parent(
            parent,
            loaded,
            f"it has weights {parent.digest[:12]}…, and the manifest beside the network tells of "
            f"{origin.parent_weights[:12]}…",
        )


def _hold_kin(parent: LoadedModel, loaded: LoadedModel, network: nn.Module, example: Images) -> None:
    found = kinship(parent.classifier, network, example)
    if found is not None and found.strangers:
        raise _no_parent(
            parent,
            loaded,
            f"the weights that were kept correlate {found.correlation:.3f} with those at the same places of it, and "
            f"pruned and fine-tuned ones more than {found.bar:.2g}; if it was trained anew, say --regime {SCRATCH}",
        )


def _no_parent(parent: LoadedModel, loaded: LoadedModel, why: str) -> ArtefactError:
    return ArtefactError(f"{parent.ref} is not the parent of {loaded.ref}: {why.rstrip('.')}. Name its true parent.")

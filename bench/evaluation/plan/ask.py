"""From what a user says, in Python values, to the plan that it means: the one way in, from a terminal or a notebook."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from bench.errors import InputError, UsageError
from bench.evaluation.plan.manifest import MANIFEST, Manifest, manifest_beside
from bench.evaluation.plan.plan import UNTOLD, Origin, Plan, Request, plan
from bench.evaluation.plan.reference import Measured, file_named, hold_typed, measured, origin_of
from bench.evaluation.plan.words import hold_method
from bench.models.source import ModelRef, load, names_file
from bench.models.trained import trained_beside
from bench.protocol.load import Protocol
from bench.protocol.own import find as rules
from bench.submission.schema import PruningRecord

_REGIME = re.compile(r"[a-z0-9][a-z0-9._-]{0,119}")


@dataclass(frozen=True, slots=True)
class File:
    """What goes with a file of weights; None where it is not said."""

    architecture: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def ref(self, text: str) -> ModelRef:
        """Return the reference that a text means, as a file or as SOURCE:NAME."""
        return ModelRef.parse(text, architecture=self.architecture, mean=self.mean, std=self.std)

    def over(self, other: "File") -> "File":
        """Return this, with what it does not say taken from another."""
        return File(self.architecture or other.architecture, self.mean or other.mean, self.std or other.std)


@dataclass(frozen=True, slots=True)
class Said:
    """What a user says of how a network is pruned, or came to be pruned.

    Attributes:
        recipe: one of ours, to prune by; None prunes nothing.
        sparsity: to prune to with a recipe, claimed without one.
        regime: what follows the pruning, or followed it.
        keep: layers that a recipe leaves whole, by name.
        parent: the dense network that was pruned, as any reference, ``entry:ID`` or the folder of a finished run.
        method: how others pruned it, in their words.
        structure: which pattern is claimed.
    """

    recipe: str | None = None
    sparsity: Fraction | None = None
    regime: str | None = None
    keep: tuple[str, ...] = ()
    parent: str | None = None
    parent_file: File = File()
    method: str | None = None
    structure: Literal["unstructured", "2of4", "channel"] | None = None

    @property
    def of_others(self) -> bool:
        """Something is said that only goes with a network that came pruned."""
        return self.method is not None or self.structure is not None


def ask(
    model: str,
    protocol: str | Protocol = "digits-v1",
    *,
    preset: str = "standard",
    file: File = File(),
    said: Said = Said(),
    places: tuple[Path, ...] = (),
    **plain: Any,
) -> Plan:
    """Return the plan of an evaluation.

    Files beside a checkpoint are read where they say what the user does not: the manifest of ``bench prune``, the run
    of a parent, the record of an entry.

    Args:
        model: any reference, ``entry:ID``, or the path of a ``.safetensors`` file.
        protocol: the rules, or their name.
        preset: whose budgets.
        file: what goes with ``model`` if that is a file.
        said: of its pruning.
        places: folders in which files that a record names are looked for first.
        **plain: further attributes of a Request.

    Raises:
        UsageError: if a name is unknown or what is said does not fit together.
        InputError: if a file is missing.
        ArtefactError: if a manifest is damaged.
    """
    chosen = (rules(protocol) if isinstance(protocol, str) else protocol).under(preset)
    _fits(said)
    again = measured(model, chosen.name, places)
    if again is not None:
        return plan(_again(again, said, Request(again.model, chosen, **plain)))
    manifest = manifest_beside(Path(model)) if names_file(model) else None
    if manifest is not None:
        file = file.over(File(manifest.architecture, manifest.mean, manifest.std))
    ref = file.ref(model)
    if said.recipe is not None:
        return plan(_by_recipe(said, Request(ref, chosen, **plain)))
    origin, run = _told(said, ref, file, chosen.name, manifest)
    return plan(Request(ref, chosen, origin=origin, parent_run=run, **plain))


def _fits(said: Said) -> None:
    if said.recipe is not None and said.of_others:
        given = "--method" if said.method is not None else "--structure"
        raise UsageError(
            f"--recipe {said.recipe} prunes the network here, and {given} tells of a network that came pruned; leave "
            "one of them out."
        )
    if said.recipe is None and said.keep:
        raise UsageError("--keep names layers that a --recipe leaves whole; name one, or leave it out.")
    if said.recipe is None and said.regime is not None and not _REGIME.fullmatch(said.regime):
        raise UsageError(f"--regime {said.regime!r} should be one word in small letters, such as ft-adv or scratch.")
    if said.method is not None:
        hold_method(said.method)


def _by_recipe(said: Said, request: Request) -> Request:
    """Prune by one of our recipes; a parent may then only be the run of the same network."""
    run = None
    if said.parent is not None:
        found = measured(said.parent, request.protocol.name)
        if found is None:
            raise UsageError(
                f"--recipe {said.recipe} prunes --model, which is then the parent itself; leave out --parent, or name "
                "the folder of that network's finished run."
            )
        run = found.folder
    return replace(
        request,
        recipe=said.recipe or "dense",
        sparsity=said.sparsity,
        regime=said.regime or "one-shot",
        keep=said.keep,
        parent_run=run,
    )


def _told(
    said: Said, ref: ModelRef, file: File, protocol: str, manifest: Manifest | None
) -> tuple[Origin | None, Path | None]:
    """Return what is told of a network that came pruned, and the folder of its parent's run if that was named.

    A method or a structure that the user tells stands in for the manifest; a parent or a sparsity goes beside it.
    """
    if said.of_others or manifest is None:
        told = Origin(None, said.method or UNTOLD, said.sparsity, said.structure, said.regime)
    else:
        told = _made_here(manifest, said)
    if said.parent is not None:
        found = measured(said.parent, protocol)
        if found is not None and not found.dense:
            raise UsageError(
                f"--parent {said.parent} is the run of a network that was pruned itself ({found.result.pruning.how}); "
                "name the dense one."
            )
        parent = hold_typed(found.model, found.folder, ref) if found else _parent_ref(said, file)
        return replace(told, parent=parent), found.folder if found else None
    if told.weights is not None and manifest is not None:
        return replace(told, parent=_recorded(manifest, Path(ref.name))), None
    silent = not said.of_others and said.sparsity is None and said.regime is None
    if not silent and ref.source != "checkpoint":
        raise UsageError(
            f"{ref} is to be pruned by which --recipe, or was pruned from which --parent? Say one of them with "
            "--sparsity, --regime, --method or --structure."
        )
    return (None, None) if silent and not _thin(ref) else (told, None)


def _parent_ref(said: Said, file: File) -> ModelRef:
    text = said.parent or ""
    if names_file(text) and said.parent_file.architecture is None and trained_beside(Path(text)) is not None:
        return said.parent_file.ref(text)  # which says itself what it is
    given = said.parent_file.over(file) if names_file(text) else said.parent_file
    if names_file(text) and given.architecture is None:
        raise UsageError(f"--parent {text!r} is a file of weights; say what network they belong to with --parent-arch.")
    return given.ref(text)


def _thin(ref: ModelRef) -> bool:
    """Tell whether channels of a file's architecture are gone: its shapes say so; other zeros may mean anything."""
    return ref.source == "checkpoint" and Path(ref.name).is_file() and load(ref).whole is not None


def _made_here(manifest: Manifest, said: Said) -> Origin:
    structure: Any = manifest.structure.value
    return Origin(
        parent=None,
        method=manifest.method,
        sparsity=manifest.target if said.sparsity is None else said.sparsity,
        structure=structure,
        regime=said.regime or manifest.regime,
        weights=manifest.weights_sha256,
        parent_weights=manifest.parent_sha256,
    )


def _recorded(manifest: Manifest, weights: Path) -> ModelRef:
    if not names_file(manifest.parent):
        return hold_typed(ModelRef.parse(manifest.parent), weights.with_name(MANIFEST))
    try:
        path = file_named(manifest.parent, [weights.parent, weights.parent.parent])
    except InputError as error:
        raise InputError(
            f"the dense parent of {str(weights)!r} is not at hand, and --parent FILE says where it is: {error}"
        ) from None
    return File(manifest.architecture, manifest.mean, manifest.std).ref(str(path))


def _again(found: Measured, said: Said, request: Request) -> Request:
    """Measure the network of a run or an entry again, pruned as it was; a dense one may be pruned by a recipe."""
    if said.of_others or said.parent is not None:
        raise UsageError(
            f"{str(found.folder)!r} says itself where its network comes from; leave out --parent, --method and "
            "--structure."
        )
    hold_typed(found.model, found.folder)
    if found.dense:
        return _by_recipe(said, request)
    if said != Said():
        raise UsageError(f"{str(found.folder)!r} is pruned already; name its dense parent to prune by a recipe.")
    origin = origin_of(found)
    if origin is not None:
        if origin.parent is not None:
            hold_typed(origin.parent, found.folder)
        return replace(request, origin=origin)
    pruning: PruningRecord = found.result.pruning
    target = None if pruning.target is None else Fraction(pruning.target)
    return replace(
        request,
        recipe=pruning.recipe or "dense",
        sparsity=target,
        regime=pruning.regime or "one-shot",
        keep=pruning.keep,
    )

"""Finds what a reference means beyond a source of models: a finished run, an entry, a file of which a name is told."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path

from bench.errors import InputError, UsageError
from bench.evaluation.plan.carried import places as carried
from bench.evaluation.plan.plan import Origin
from bench.models.source import ModelRef, names_file
from bench.models.weights import file_digest, model_folder
from bench.models.zoo.python import SOURCE as CODE
from bench.submission.files import RESULT_FILE, read_result
from bench.submission.schema import ModelRecord, Normalisation, Result

ENTRY = "entry:"
SUBMISSIONS = Path("submissions")


@dataclass(frozen=True, slots=True)
class Measured:
    """A network that has been measured before.

    Attributes:
        folder: of its run or entry.
        model: the network, or the dense one that a recipe pruned to it.
        places: folders in which the files that it names are looked for.
    """

    folder: Path
    result: Result
    model: ModelRef
    places: tuple[Path, ...]

    @property
    def dense(self) -> bool:
        """Nothing was pruned."""
        return self.result.pruning.structure == "dense"


def measured(text: str, protocol: str, places: tuple[Path, ...] = ()) -> Measured | None:
    """Return what ``entry:ID`` or the folder of a finished run names; None for any other reference.

    Args:
        text: as typed.
        protocol: whose entry is meant where several protocols have one of that name.
        places: folders in which its files of weights are looked for before its own.

    Raises:
        UsageError: if there is no such entry.
        InputError: if its file of weights is not at hand.
        ArtefactError: if the one in its folder is another.
    """
    if text.startswith(ENTRY):
        folder = _entry(text.removeprefix(ENTRY), protocol)
    elif ":" not in text and Path(text).is_dir():
        folder = Path(text)
    else:
        return None
    result = read_result(folder / RESULT_FILE)
    looked = (*places, *carried(folder, result.model), folder, folder.parent)
    return Measured(folder, result, _model(result.model, looked), looked)


def origin_of(found: Measured) -> Origin | None:
    """Return where the network of a run came from that was pruned before; None where it was not."""
    pruning, model = found.result.pruning, found.result.model
    if pruning.recipe is not None:
        return None
    claim = pruning.claim
    return Origin(
        parent=None if model.parent is None else _parent(model, found.places),
        method=pruning.how,
        sparsity=Fraction(claim.sparsity) if claim and claim.sparsity else None,
        structure=claim.structure if claim else None,
        regime=pruning.regime,
        weights=model.weights_sha256,
        parent_weights=model.parent_sha256,
    )


def hold_typed(ref: ModelRef, file: Path, typed: ModelRef | None = None) -> ModelRef:
    """Return a reference that a file names, unless it would run code that nobody asked for.

    Args:
        ref: as the file spells it.
        file: which says so; it may have come from anywhere.
        typed: what the user named in words of their own; whoever runs their code runs more of it.

    Raises:
        UsageError: if only the file asks for the code.
    """
    if ref.source == CODE and (typed is None or typed.source != CODE):
        raise UsageError(f"{str(file)!r} asks for code to be run, {ref}; if you trust that, name it yourself.")
    return ref


def file_named(name: str, places: Iterable[Path], digest: str | None = None) -> Path:
    """Find a file of weights of which only the name, and perhaps the sha256, was written down.

    Raises:
        InputError: if none of the places has it.
    """
    looked = list(dict.fromkeys([*places, Path(), model_folder()]))
    for place in looked:
        path = place / name
        if path.is_file() and digest in {None, file_digest(path)}:
            return path
    pinned = f" with sha256 {digest}" if digest else ""
    raise InputError(
        f"the weights file {name!r}{pinned} is in none of {', '.join(map(repr, map(str, looked)))}; place it there, or "
        "name it by its path."
    )


def _entry(identity: str, protocol: str) -> Path:
    folders = [path.parent for path in sorted(SUBMISSIONS.glob(f"*/*/{RESULT_FILE}"))]
    found = [folder for folder in folders if folder.name == identity]
    if not found:
        near = get_close_matches(identity, {folder.name for folder in folders}, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(
            f"No entry of {str(SUBMISSIONS)!r} in this folder is called {identity!r}; it holds {len(folders)}.{hint}"
        )
    mine = [folder for folder in found if folder.parent.name == protocol]
    return (mine or found)[0]


def _model(model: ModelRecord, places: Iterable[Path]) -> ModelRef:
    if model.normalisation is None:
        return ModelRef.parse(model.ref)
    return _file(file_named(model.ref, places, model.file_sha256), model.architecture, model.normalisation)


def _parent(model: ModelRecord, places: Iterable[Path]) -> ModelRef:
    name = model.parent or ""
    if not names_file(name):
        return ModelRef.parse(name)
    given = model.parent_normalisation or model.normalisation or Normalisation(mean=(0.0,), std=(1.0,))
    return _file(file_named(name, places), model.parent_architecture or model.architecture, given)


def _file(path: Path, architecture: str, given: Normalisation) -> ModelRef:
    return ModelRef.parse(str(path), architecture=architecture, mean=given.mean, std=given.std)

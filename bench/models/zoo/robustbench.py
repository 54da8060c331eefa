"""Networks of RobustBench's model zoo, with weights that are fetched or placed, and converted once."""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.errors import InputError, UsageError
from bench.models.architecture import Architecture
from bench.models.conversion import convert
from bench.models.drive import address, fetch_shared
from bench.models.naming import COUNTER, suggest
from bench.models.probe import probe
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, Normalised, placing, state_digest
from bench.models.weights import file_digest, fill, model_folder, read
from bench.registry import unknown

_CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}
_SIDE = {"cifar10": 32, "cifar100": 32, "imagenet": 224}
_CONSTANTS = frozenset({"mu", "sigma", "mean", "std"})
"""Normalisation that RobustBench's classes set themselves; their checkpoints often lack it."""

_LAST = ("Kireev2021Effectiveness", "Andriushchenko2020Understanding")
"""Checkpoints that hold two state dicts, of which RobustBench takes ``last``."""

_SOLVERS = frozenset({"ODEBlock"})
"""Classes that integrate in steps chosen for the whole batch: an image's answer would hang on the images beside it."""


def load(ref: ModelRef) -> LoadedModel:
    """Load ``DATASET/THREAT/NAME``; normalisation is inside the network, as RobustBench has it."""
    dataset, entry = _entry(ref.name)
    path = _placed(ref.name, entry)
    network = _made(entry)
    what = f"RobustBench's {ref.name!r}"
    fill(network, _aligned(read(path), network), where=repr(path.name), what=what)
    _settle(network)
    shape, classes = (3, _SIDE[dataset], _SIDE[dataset]), _CLASSES[dataset]
    probe(network, shape, classes, where=repr(path.name), what=what)
    classifier = Normalised(network, (0.0,), (1.0,))
    return LoadedModel(
        ref=ref,
        classifier=classifier,
        architecture=type(network).__name__,
        shape=shape,
        classes=classes,
        digest=state_digest(classifier),
        file_digest=file_digest(path),
        notes={"source": f"RobustBench, Google Drive {entry['gdrive_id']}, converted"},
    )


def blank(name: str) -> Architecture:
    """Return the architecture of ``DATASET/THREAT/NAME`` without weights."""
    dataset, entry = _entry(name)
    side = _SIDE[dataset]
    return Architecture(
        name=f"robustbench:{name}",
        make=lambda _: _made(entry),
        shape=(3, side, side),
        classes=_CLASSES[dataset],
        says="of RobustBench",
        fixed=True,
    )


def _made(entry: Mapping[str, Any]) -> nn.Module:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = entry["model"]()
    for module in network.modules():
        if type(module).__name__ in _SOLVERS:
            module.__class__ = _alone(type(module))
    return network


def _settle(network: nn.Module) -> None:
    """Compute once what parametrizations would compute in every pass: the weights are given, nothing trains them."""
    for module in list(network.modules()):
        parametrizations = getattr(module, "parametrizations", None)
        if isinstance(parametrizations, nn.ModuleDict):
            for name in list(parametrizations):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _alone(kind: type[nn.Module]) -> type[nn.Module]:
    """Return the class whose forward pass takes each image by itself, as the network answers on a single one."""

    def forward(self: nn.Module, images: Tensor) -> Tensor:
        return torch.cat([kind.forward(self, image) for image in images.split(1)])

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


def _zoo() -> Mapping[Any, Mapping[Any, Mapping[str, Any]]]:
    """Import the model zoo without the package around it.

    ``robustbench/__init__.py`` imports ``autoattack``, which no package index carries, and ``pkg_resources``, which
    setuptools dropped; the zoo needs neither.
    """
    if "robustbench" not in sys.modules:
        found = importlib.util.find_spec("robustbench")
        if found is None:
            raise ModuleNotFoundError("No module named 'robustbench'", name="robustbench")
        package = ModuleType("robustbench")
        package.__path__ = list(found.submodule_search_locations or [])
        sys.modules["robustbench"] = package
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # written for older releases of timm and torch
        return importlib.import_module("robustbench.model_zoo.models").model_dicts


def _entry(name: str) -> tuple[str, Mapping[str, Any]]:
    dataset, _, rest = name.partition("/")
    threat, _, model = rest.partition("/")
    zoo = {kind.value: {norm.value: models for norm, models in norms.items()} for kind, norms in _zoo().items()}
    if not model or dataset not in zoo or threat not in zoo[dataset]:
        groups = [f"{kind}/{norm}" for kind, norms in zoo.items() for norm in norms]
        raise UsageError(
            f"robustbench:{name} should be robustbench:DATASET/THREAT/NAME, with one of {', '.join(groups)}."
        )
    models = zoo[dataset][threat]
    if model not in models:
        raise UsageError(
            f"{unknown(f'RobustBench model in {dataset}/{threat}', model, list(models))} These are the networks of the "
            f"installed robustbench {metadata.version('robustbench')}; a newer release of it brings its own."
        )
    entry = models[model]
    if not _offered(entry):
        kind = "an ensemble" if entry["gdrive_id"] else "built with weights that RobustBench downloads unchecked"
        raise UsageError(f"robustbench:{name} is {kind}; only single networks with one file of weights are offered.")
    return dataset, entry


def _offered(entry: Mapping[str, Any]) -> bool:
    """Tell whether a network is a single one with one file of weights."""
    return isinstance(entry["gdrive_id"], str) and bool(entry["gdrive_id"])


def _place(name: str) -> Path:
    return model_folder() / "robustbench" / f"{name}.safetensors"


def _placed(name: str, entry: Mapping[str, Any]) -> Path:
    path = _place(name)
    if not path.is_file():
        model = path.stem
        raise InputError(
            f"robustbench:{name} has no weights at {path}; run: bench models fetch robustbench:{name}, or download "
            f"{address(entry['gdrive_id'])} as {model}.pt and run: bench models place robustbench:{name} {model}.pt."
        )
    return path


def fetch(name: str) -> Path:
    """Fetch the checkpoint that RobustBench shares, convert it, keep what loads strictly; no digest is published.

    Raises:
        InputError: if it cannot be had.
        ArtefactError: if it needs code to be opened, or is not of this network.
    """
    entry, path = _entry(name)[1], _place(name)
    if path.is_file():
        return path
    shared = fetch_shared(entry["gdrive_id"], f"{path.stem}.pt", path.parent)
    try:
        return place(name, shared)
    finally:
        shared.unlink()


def place(name: str, given: Path) -> Path:
    """Convert a checkpoint of this network to where it is looked for, if it loads strictly.

    Raises:
        UsageError: if weights are there already.
        ArtefactError: if it needs code to be opened, or is not of this network.
    """
    _, path = _entry(name), _place(name)
    pickled = given.suffix != ".safetensors"
    with placing(ModelRef("robustbench", name), path):
        convert(given, path, key="last" if pickled and path.stem.startswith(_LAST) else None)
    return path


def _aligned(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Rename every tensor alike, by a prefix that training or RobustBench's wrapper put there, until names agree."""
    state = network.state_dict()
    buffers = state.keys() & dict(network.named_buffers()).keys()
    optional = {name for name in buffers if name.rpartition(".")[2] in _CONSTANTS | {COUNTER}}
    for outer in ("", "model."):
        named = {outer + name: tensor for name, tensor in tensors.items()}
        for way in suggest(named, state, optional):
            if not way.drop:
                renamed = {way.renamed(name): tensor for name, tensor in named.items()}
                return {name: state[name] for name in optional - renamed.keys()} | renamed
    return dict(tensors)


def known() -> int:
    """Return how many networks the installed zoo describes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sum(len(entries) for threats in _zoo().values() for entries in threats.values())


def names() -> dict[str, str]:
    """Return the single networks of RobustBench's zoo."""
    return {
        f"{dataset.value}/{norm.value}/{name}": f"RobustBench's, {dataset.value}, {norm.value}"
        for dataset, norms in _zoo().items()
        for norm, models in norms.items()
        for name, entry in models.items()
        if _offered(entry)
    }


SOURCES.register("robustbench")(
    ModelSource(
        load,
        names,
        says="robustbench:DATASET/THREAT/NAME, weights fetched from RobustBench's or placed, and converted",
        blank=blank,
        fetch=fetch,
        place=place,
        at_hand=lambda name: _place(name).is_file(),
    )
)

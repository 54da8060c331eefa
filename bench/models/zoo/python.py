"""Networks that somebody's own code makes: ``python:package.module:factory``."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import torch
from torch import nn

from bench.errors import ContractError, UsageError
from bench.models.architecture import Variant
from bench.models.plain import settle
from bench.models.probe import classes_of
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, identity
from bench.models.weights import file_digest, fill, read

SOURCE = "python"
_USUAL = (3, 32, 32)
"""Images that a network takes where nothing else is said."""


def load(ref: ModelRef) -> LoadedModel:
    """Import the module from the working folder or the environment, call the factory, fill in the weights.

    The factory takes nothing and returns a ``torch.nn.Module`` from images in [0, 1] to logits. What images it takes is
    said as with ``--arch``: ``?in_chans=1&img_size=28``, else they are 3×32×32.
    """
    target, weights, shape = _read(ref)
    network, path = _made(ref, target), None
    if weights is not None:
        path = Path(weights)
        fill(network, read(path), where=repr(path.name), what=f"{target}()")
    network = settle(network)
    try:
        classes = classes_of(network, torch.zeros(2, *shape))
    except ContractError as error:
        reason = str(error).rstrip(".")
        raise UsageError(f"{ref}: {reason}; say what images it takes, as ?in_chans=1&img_size=28.") from None
    return LoadedModel(
        ref=ref,
        classifier=network,
        architecture=target,
        shape=shape,
        classes=classes,
        digest=identity(ref, network, shape),
        file_digest=file_digest(path) if path else None,
        notes={"source": f"made by the user's own code, {target}"},
    )


def _read(ref: ModelRef) -> tuple[str, str | None, tuple[int, int, int]]:
    target, _, options = ref.name.partition("?")
    said = parse_qsl(options, keep_blank_values=True)
    weights = [value for key, value in said if key == "weights"]
    others = urlencode([pair for pair in said if pair[0] != "weights"])
    variant = Variant.parse(f"{target}?{others}")
    if len(weights) > 1 or variant.classes:
        raise UsageError(f"{ref}: weights stands once, and a factory says itself how many classes there are.")
    return target, weights[0] if weights else None, variant.shape(_USUAL)


def filled(ref: ModelRef, weights: str) -> ModelRef:
    """Return the reference of the same network with a file of weights."""
    target, _, options = ref.name.partition("?")
    others = [pair for pair in parse_qsl(options, keep_blank_values=True) if pair[0] != "weights"]
    return replace(ref, name=f"{target}?{urlencode([('weights', weights), *others], safe='/')}")


def _made(ref: ModelRef, target: str) -> nn.Module:
    module, colon, factory = target.partition(":")
    if not colon or not module or not factory.isidentifier():
        raise UsageError(f"{ref} should be python:MODULE:FACTORY, as python:mypackage.networks:resnet.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    try:
        make = getattr(importlib.import_module(module), factory)
        with torch.random.fork_rng(devices=[]):
            network = make()
    except Exception as error:
        raise UsageError(f"{ref}: {module}:{factory} failed with {type(error).__name__}: {error}.") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{ref}: {factory}() should return a torch.nn.Module, got {type(network).__name__}.")
    return network


def names() -> dict[str, str]:
    """Return nothing; any module may be named."""
    return {}


SOURCES.register(SOURCE)(
    ModelSource(
        load,
        names,
        says="python:MODULE:FACTORY[?weights=FILE.safetensors], the user's own code, for runs of one's own",
        private="the network is made by code of one's own, which is never run for a submission",
    )
)

"""Networks that a program hands over as objects; they live as long as the process does."""

import copy
from dataclasses import replace

from bench.errors import UsageError
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource

SOURCE = "memory"
_HELD: dict[str, LoadedModel] = {}


def hold(loaded: LoadedModel) -> ModelRef:
    """Keep a network for the rest of the process and return the reference that finds it again.

    The reference carries a digest of weights and answers, so that no two networks share one.
    """
    name = f"{loaded.architecture}@{loaded.digest[:12]}"
    _HELD[name] = replace(loaded, ref=ModelRef(SOURCE, name))
    return _HELD[name].ref


def load(ref: ModelRef) -> LoadedModel:
    """Return a copy of a network that was handed over."""
    if ref.name not in _HELD:
        raise UsageError(f"{ref} was handed over in another process and is gone with it; hand the network over again.")
    held = _HELD[ref.name]
    return replace(held, classifier=copy.deepcopy(held.classifier))


def names() -> dict[str, str]:
    """Return nothing; what is in memory has no list."""
    return {}


SOURCES.register(SOURCE)(
    ModelSource(
        load,
        names,
        says="networks that Python code hands over to bench.evaluate; no reference of the command line",
        private="the network was handed over in Python, so nobody else can load it",
    )
)

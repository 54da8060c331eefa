"""Which of the protocols that ship have images and classes that a network takes."""

from bench.data.dataset import DATASETS
from bench.models.source import LoadedModel
from bench.protocol.load import Protocol, load, names

_LEAST = 100
"""Points below which a protocol is for rehearsals."""


def fitting(loaded: LoadedModel) -> list[str]:
    """Return the names of the protocols whose images and classes a network takes: fewest points first, rehearsals last.

    Where images and classes of several data sets fit and the network's name says one of them, it is that one.
    """
    fits = [
        rules
        for rules in map(load, names())
        for source in ([DATASETS[rules.data.dataset]] if rules.data.dataset in DATASETS else [])
        if (source.shape, len(source.classes)) == (loaded.shape, loaded.classes)
    ]
    said = [rules for rules in fits if rules.data.dataset in loaded.ref.name.lower()]
    return [rules.name for rules in sorted(said or fits, key=_cost)]


def _cost(rules: Protocol) -> tuple[bool, int, str]:
    return rules.data.points < _LEAST, rules.data.points, rules.name

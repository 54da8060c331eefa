"""A benchmark for the adversarial robustness of pruned image classifiers.

    import bench

    result = bench.evaluate(network, protocol="cifar10-v1", points=100, threats=["Linf"], preset="fast")
    print(result.table())

Nothing heavy is imported before one of these names is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.version import __version__ as __version__

if TYPE_CHECKING:
    from bench.interface.attack import Attacked, attack
    from bench.interface.board import load_board
    from bench.interface.evaluate import evaluate
    from bench.interface.network import load
    from bench.interface.pruning import measure, prune
    from bench.interface.result import Result
    from bench.interface.training import train
    from bench.pruning.measure import Measured
    from bench.pruning.prune import Pruned

__all__ = [
    "Attacked",
    "Measured",
    "Pruned",
    "Result",
    "attack",
    "evaluate",
    "load",
    "load_board",
    "measure",
    "prune",
    "train",
]

_HOMES = {
    "Attacked": "bench.interface.attack",
    "Measured": "bench.pruning.measure",
    "Pruned": "bench.pruning.prune",
    "Result": "bench.interface.result",
    "attack": "bench.interface.attack",
    "evaluate": "bench.interface.evaluate",
    "load": "bench.interface.network",
    "load_board": "bench.interface.board",
    "measure": "bench.interface.pruning",
    "prune": "bench.interface.pruning",
    "train": "bench.interface.training",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

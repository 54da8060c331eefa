"""A folder for the weights of the matrix, and what is costly and proves nothing new done once or cut short."""

import shutil
from collections.abc import Callable

import pytest

from bench.models.source import state_digest
from bench.pruning import structure
from bench.pruning.zoo import synflow


@pytest.fixture(autouse=True)
def placed(monkeypatch, tmp_path):
    """Return the folder that weights are placed in; some are larger than a gigabyte, so none are left."""
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(synflow, "ROUNDS", 5)
    for function in ("traced_groups", "_proved"):
        monkeypatch.setattr(structure, function, once(getattr(structure, function)))
    yield tmp_path
    shutil.rmtree(tmp_path)


def once(function: Callable) -> Callable:
    """Remember what is found out about a network: five recipes ask about the same one, and the harness asks again."""
    known: dict[tuple, object] = {}

    def remembering(network, *rest):
        told = [[group.producer for group in found] for found in rest if isinstance(found, list)]
        key = (state_digest(network), repr(network), repr(told))
        if key not in known:
            known[key] = function(network, *rest)
        return known[key]

    return remembering

"""A folder for the weights of the matrix, and fewer rounds where their number proves nothing."""

import pytest

from bench.pruning.zoo import synflow


@pytest.fixture(autouse=True)
def placed(monkeypatch, tmp_path):
    """Return the folder that weights are placed in."""
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(synflow, "ROUNDS", 20)
    return tmp_path

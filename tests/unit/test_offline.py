"""A dry run opens no connection: what is not here is told with where it goes."""

import socket

import pytest

from bench.data.dataset import DATASETS
from bench.errors import AbsentError
from bench.models.source import ModelRef, load
from bench.offline import offline, online


@pytest.fixture
def watched(monkeypatch, tmp_path):
    """Return the list of attempts to reach a network, from a machine that holds nothing."""
    tried = []

    def refuse(*address, **_):
        tried.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ("BENCH_DATA_DIR", "BENCH_MODEL_DIR", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    return tried


def test_it_ends_with_its_block_even_by_an_error():
    seen = []
    with pytest.raises(ZeroDivisionError), offline():
        seen.append(online() / 0)
    with offline():
        seen.append(online())
    assert (seen, online()) == ([False], True)


@pytest.mark.parametrize(("name", "place"), [("cifar10", "cifar-10-python.tar.gz"), ("mnist", "t10k-images-idx3")])
def test_data_that_a_run_would_download_are_named_with_their_place(watched, name, place):
    with offline(), pytest.raises(AbsentError, match=place):
        DATASETS[name].load("test", range(3))
    assert watched == []


def test_weights_that_a_run_would_fetch_are_named_with_their_place(watched):
    with offline(), pytest.raises(AbsentError, match=r"a run fetches them from the hub, or place model\.safetensors"):
        load(ModelRef.parse("timm:resnet18.a1_in1k"))
    assert watched == []

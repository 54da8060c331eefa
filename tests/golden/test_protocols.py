"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import pytest

from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "6d6abcbe90b626cd23f65dea5506ea89ea362954961b2de4d74d2403e1d0865e",
    "cifar10-v1": "5afd663b041c3f3e005672dca8b9d0709457bf3a4d1957af2cb8c57293282b5b",
    "cifar100-v1": "c40fe93fca4622c237524d90e0d5d53b45759c59aadab6692d17089f043e5ce9",
    "digits-smoke-v1": "41517535a81a291a9e62f6b3ee65fac7c2bbc0da134069eec978d036182eb208",
    "digits-v1": "1af465603c003b422a918da91767d17cb43e841f193dd741ee6660c871985cb6",
    "imagenet-500-v1": "a539e8841dafcacb26dfba167ff2ba66bf322a89ad5efd813b5418f0d7e34a2a",
    "imagenet-v1": "9c5b8f7136968e276df2c6a3ee04b5ff8bbd9835cbe606f67fa8253369a2c664",
    "imagenette-v1": "17d1018eb9b26af2d52b3012ad1b301118d52598d7dad4cccd848873ab1ec162",
    "mnist-1000-v1": "b84927cc0458c3d9cf05ce23f2535a8a50ae431aa63429c2a93223927709e746",
    "mnist-v1": "486c9d61e1b5c3fabd891693d32d4d738ff6a1f4472ea61999bce2df824b2ffb",
    "svhn-v1": "77306c83f8073c60a30f4747e1328e1053ef029b266a88ef80e381929a7d96a5",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == names()


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]

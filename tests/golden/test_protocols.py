"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import pytest

from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "8d44cdae95690f8a4fe6dc5a9b3c648b394c5376e4b86f33c816ffb03226010c",
    "cifar10-v1": "8d74aa12a19bc15604fe5605e0e0069d50fc3bdc1cd1512c0da772ed50028351",
    "digits-smoke-v1": "41517535a81a291a9e62f6b3ee65fac7c2bbc0da134069eec978d036182eb208",
    "digits-v1": "1af465603c003b422a918da91767d17cb43e841f193dd741ee6660c871985cb6",
    "mnist-1000-v1": "bc61c0898c3aca9c6d5571e02209063fc782d8dcdf5aa89063b18974e4a90eff",
    "mnist-v1": "64397371974a95877099dab7b384c58c1ad69979034c69f6f4a05ac32064b26c",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == names()


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]

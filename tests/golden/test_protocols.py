"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import pytest

from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "4c7b5e0788f33696d06182ba35fd79f586d00b870346901dde1f2cc5fa6142af",
    "cifar10-v1": "1d4278b74c6244fd73d0aa64edf235b6a44f77a92e63c1fe76526de9929eee35",
    "digits-smoke-v1": "41517535a81a291a9e62f6b3ee65fac7c2bbc0da134069eec978d036182eb208",
    "digits-v1": "1af465603c003b422a918da91767d17cb43e841f193dd741ee6660c871985cb6",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == names()


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]

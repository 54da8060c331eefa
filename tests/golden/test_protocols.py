"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import pytest

from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "eaf9650f7c5c8cb8ba1df6d185d3037ec3f6ede364294856de9c1e80cfb02a19",
    "cifar10-v1": "45c9e300cd516a2bdb680559fffa2f2389315ee84e6ab916568189628cd0865f",
    "digits-smoke-v1": "41517535a81a291a9e62f6b3ee65fac7c2bbc0da134069eec978d036182eb208",
    "digits-v1": "1af465603c003b422a918da91767d17cb43e841f193dd741ee6660c871985cb6",
    "mnist-1000-v1": "959753257dc6ce7b9583d2e25ed3b9790f5d6e36d64daead7f1abeb2c99133db",
    "mnist-v1": "9dc9ba695e492d75e33a7915b6ffde4cb0888e5ccfae8f763791e3e27cd3156c",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == names()


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]

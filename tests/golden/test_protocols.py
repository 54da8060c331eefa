"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import pytest

from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "32f1062cd84a3514325a3412e8f8a8bc3794c348ef67c778bc7b85e5938b20c3",
    "cifar10-v1": "ecbeacbf018a3373008715e713e8d7a4ffb1a04a06c03ee72263fe3be80af168",
    "digits-smoke-v1": "fc0d1f5318e6b6fd75505ba4f40fb152d972289b09b6b8b45c440144605d1b0b",
    "digits-v1": "6d9d40f48c5b089f143431ad7586afd34ba6fa8e8740c32948e297d273ab317f",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == names()


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]

"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import pytest

from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "851a357fba0e9a00cf5baa406f7d3ecc4e228afa492f87427a7bd8350c084a55",
    "cifar10-v1": "0deb3d1f57aab060b9bee81ba2e6d145ef4726d9c410a444ade920281214abe0",
    "cifar100-v1": "ce5ec7ce8e50bc9a3f5daf47193c8204d0ead42f437f3b720649576bbc0cb6b7",
    "digits-smoke-v1": "9ef696d1456747d2f0a22a6ce83d578f737d9aad57c086fae882ae1cbc26be95",
    "digits-v1": "a0b6333ab13af9f0fdb5cf8033b553910f141070a04773d2c27176af327e9f88",
    "imagenet-500-v1": "7ce3c3a5410840d02ec113de2f31919110864e8b708dbe4eba82843dc7aa6f69",
    "imagenet-v1": "6599f83919ded527fc09f0d29f509d51f298ba689ad6b1ac74012237a60bd7f1",
    "imagenette-v1": "d641c1f013e5c5d9f10041ec6bdd37a0ab26c1f678285cf6712c20d3f2759a6d",
    "mnist-1000-v1": "e6be0ecc58e88963632e794b5cd3ca5c3738bc2a304e9ceee75877cd19bb1786",
    "mnist-v1": "fd3777ed79a78ef7f9aa139880a90db1d373f4d40d9c3ff358ff34a23cb7ab9a",
    "svhn-v1": "1c8a0fd257d6eb3475bf57efcb9d5d7a2103c30ef9d10c41bc3ca538016a2dfb",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == names()


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]

"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import pytest

from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "e208f5db1a13b787b3aab06769963f9790b0efb2727b789e35906caac6ee3d7f",
    "cifar10-v1": "5c3cd5b80f65453423e868a5a851f8e0514a9b4b01215e7adc615731a4a69d0f",
    "cifar100-v1": "3f260f14c90a800f296504ff0c69ee4f6ff8cab4f7d9989711064de95ffb6e55",
    "digits-smoke-v1": "f3c6375dcb433479fb356a4aa70068f29af94a615fe7340e8d78db6f2dcc61a4",
    "digits-v1": "a262f5bcc0d8b3a54a11c127603c60e15f22140a814daf4dd3fa4502264fef88",
    "imagenet-500-v1": "5886d3deecca1cdd03514f30f5370cebf21977377cfe75f0f344f14261c2c633",
    "imagenet-v1": "30f46cc722a40de97778526a694bbdeb0777d7da9faef39ee2c60acac1d2326a",
    "imagenette-v1": "5e555d1fe4a33c68b09e6c5c8f2c84a0553aa6b4bdf0bebc84a84291fe835172",
    "mnist-1000-v1": "f7db584acab10ea26c1445a23a5c627b4afc1efbfc568717cc8efce244222b4f",
    "mnist-v1": "54106540edc0e31c5849939ec6954f4fc7dc87c38c2f432638b0b89443cbd55f",
    "svhn-v1": "f22054de72e8bba295a2cd750f7b77247e7f56775048f7399d661733c5045a42",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == names()


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]

"""A released protocol never changes; a draft changes only on purpose.

Regenerate a draft's digest with `bench protocol show NAME` and paste it here; the diff is reviewed.
"""

import hashlib

import pytest
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN, Imagenette
from torchvision.datasets.imagenet import ARCHIVE_META

from bench.data.dataset import DATASETS
from bench.data.zoo import imagenet
from bench.download import Remote
from bench.protocol.load import load, names

DIGESTS = {
    "cifar10-full-v1": "e208f5db1a13b787b3aab06769963f9790b0efb2727b789e35906caac6ee3d7f",
    "cifar10-v1": "5c3cd5b80f65453423e868a5a851f8e0514a9b4b01215e7adc615731a4a69d0f",
    "cifar100-v1": "761341d441fe5e83d4988ed451de6cfd393aa9b34b7491969d4d82f28daeda5d",
    "digits-smoke-v1": "f3c6375dcb433479fb356a4aa70068f29af94a615fe7340e8d78db6f2dcc61a4",
    "digits-v1": "a262f5bcc0d8b3a54a11c127603c60e15f22140a814daf4dd3fa4502264fef88",
    "imagenet-500-v1": "cfd760d8aec9018d2b898c92517bf6fbddefb1372b9747813a7fd46be7cbc492",
    "imagenet-v1": "104a94c465e2dccf2a5bcea605ffb245ae36b04f090d57608b6dc896da506071",
    "imagenette-v1": "cd086b48697bd95780995ad9d78f6d49f00f724094e8bead97136f61b1740948",
    "mnist-1000-v1": "f7db584acab10ea26c1445a23a5c627b4afc1efbfc568717cc8efce244222b4f",
    "mnist-v1": "54106540edc0e31c5849939ec6954f4fc7dc87c38c2f432638b0b89443cbd55f",
    "svhn-v1": "26719d6b0d8343f1687487418a1fa54c247ac144e5c1607454440b0ed2ccc0da",
}


def test_every_protocol_is_pinned():
    assert sorted(DIGESTS) == list(names())


@pytest.mark.parametrize("name", names())
def test_the_rules_are_the_ones_that_were_pinned(name):
    assert load(name).digest == DIGESTS[name]


def spelled(file, md5):
    return {file: f"md5:{md5}"}


PUBLISHED = {
    "cifar100": dict.fromkeys(("test", "train"), spelled(CIFAR100.filename, CIFAR100.tgz_md5)),
    "svhn": {split: spelled(*SVHN.split_list[split][1:]) for split in ("test", "train")},
    "imagenette": dict.fromkeys(("test", "train"), spelled("imagenette2.tgz", Imagenette._ARCHIVES["full"][1])),
    "imagenet": dict.fromkeys(("test", "held-out"), spelled(*ARCHIVE_META["val"])),
}
"""Digests of the files behind each split, as torchvision publishes them."""


@pytest.mark.parametrize(("name", "published"), [("cifar10", CIFAR10), ("cifar100", CIFAR100)])
def test_archives_of_batches_are_those_that_torchvision_opens(name, published, tmp_path):
    official = DATASETS[name].official
    for split, batches in (("test", published.test_list), ("train", published.train_list)):
        assert official.files[split] == (Remote(published.filename, published.url, f"md5:{published.tgz_md5}"),)
        for batch, _ in batches:
            assert not official.ready(tmp_path, split)
            path = tmp_path / published.base_folder / batch
            path.parent.mkdir(exist_ok=True)
            path.touch()
        assert official.ready(tmp_path, split)


def test_other_files_are_fetched_from_where_torchvision_fetches_them():
    def told(name):
        splits = DATASETS[name].official.files.values()
        return {(one.address, one.digest.removeprefix("md5:")) for files in splits for one in files}

    assert told("mnist") == {(MNIST.mirrors[0] + file, md5) for file, md5 in MNIST.resources}
    assert told("svhn") == {(SVHN.split_list[split][0], SVHN.split_list[split][2]) for split in ("test", "train")}
    assert told("imagenette") == {Imagenette._ARCHIVES["full"]}
    assert DATASETS["imagenet"].official.pins("test") == spelled(*ARCHIVE_META["val"])


@pytest.mark.parametrize("name", ["cifar100-v1", "svhn-v1", "imagenette-v1", "imagenet-v1", "imagenet-500-v1"])
def test_what_is_pinned_by_files_is_pinned_by_the_published_ones(name):
    rules = load(name)
    files, sets = PUBLISHED[rules.data.dataset], (rules.data, rules.held_out, rules.calibration)
    for one in sets:
        assert one.files == files[one.split]
    spans = [(one.split, point) for one in sets for point in one.ids]
    assert len(set(spans)) == len(spans), "a point is evaluated, held out or calibrated on, never two of them"
    assert DATASETS[rules.data.dataset].official.pins("test") == rules.data.files


def test_released_points_are_pinned():
    assert [name for name in names() if not load(name).data.pinned] == []


def test_ids_of_imagenet_never_name_another_photograph_or_class():
    """The files pin pixels; which file and which class an id means the table behind it says."""
    lines = "".join(f"{one.file} {one.label}\n" for one in (*imagenet._listed(), *imagenet._others()))
    assert (
        hashlib.sha256(lines.encode()).hexdigest() == "9e4f286e2489544f595b9a37be5f43629f34bb56b44511272eb05abf00d582f1"
    )

"""Points say which published files they come from; whatever else they come from, they say nothing."""

import os
import tarfile

import numpy as np
import pytest

from bench.data.dataset import DATASETS
from bench.data.decoding import SCALED, decode
from bench.data.zoo import imagenet as imagenet_zoo
from bench.data.zoo import imagenette as imagenette_zoo
from bench.download import Remote, opened
from bench.errors import ArtefactError, InputError
from bench.offline import offline
from tests.support import published


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path):
    """Return an empty data folder, with nothing fetched."""
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    with offline():
        yield tmp_path / "data"


def place(name, monkeypatch, data):
    """Place the published file of a data set and return its path."""
    if name == "imagenet":
        listed = [*imagenet_zoo._listed()[:8], *imagenet_zoo._others()[:8]]
        return published.imagenet(monkeypatch, data, listed)
    return getattr(published, name)(monkeypatch, data)


def pins(name, split="test"):
    return DATASETS[name].official.pins(split)


def sliced(name, data, value=0):
    """Place slices of flat images, which an adversary can hardly move, all of class 0."""
    home = data / DATASETS[name].official.folder
    home.mkdir(parents=True, exist_ok=True)
    images = np.full((published.POINTS, 32, 32, 3), value, np.uint8)
    ids = np.arange(published.POINTS)
    np.savez(home / f"test-0-{published.POINTS - 1}.npz", images=images, labels=0 * ids, ids=ids)


@pytest.mark.parametrize("name", ["cifar100", "svhn", "imagenette", "imagenet"])
def test_points_of_the_published_file_say_so_however_few_are_taken(name, monkeypatch, data):
    path = place(name, monkeypatch, data)
    found = DATASETS[name].load("test", [7, 0])
    assert pins(name) == {path.name: f"md5:{published.md5(path.read_bytes())}"}
    assert found.read_from == found.head(1).read_from == found.take([0]).read_from == pins(name)


@pytest.mark.parametrize("name", ["cifar100", "svhn"])
def test_points_of_slices_say_nothing_and_come_after_the_published_file(name, monkeypatch, data):
    sliced(name, data)
    assert DATASETS[name].load("test", [0]).read_from == {}
    place(name, monkeypatch, data)
    found = DATASETS[name].load("test", [0])
    assert found.read_from == pins(name)
    assert found.pixels.max() > 0


@pytest.mark.parametrize("name", ["svhn", "imagenette", "imagenet"])
def test_a_file_that_is_not_the_published_one_is_refused_and_nothing_else_read_in_its_place(name, monkeypatch, data):
    path = place(name, monkeypatch, data)
    if name == "svhn":
        sliced(name, data)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ArtefactError, match="was published"):
        DATASETS[name].load("test", [0])


def test_an_archive_of_batches_that_is_not_the_published_one_is_never_unpacked(monkeypatch, data):
    path = place("cifar100", monkeypatch, data)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ArtefactError, match="was published"):
        DATASETS["cifar100"].load("test", [0])
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_batches_that_were_unpacked_are_held_one_by_one_every_time(monkeypatch, data):
    path = place("cifar100", monkeypatch, data)
    DATASETS["cifar100"].load("test", [0])
    path.unlink()
    assert DATASETS["cifar100"].load("test", [0]).read_from == pins("cifar100")
    batch = data / "cifar100" / "cifar-100-python" / "test"
    elsewhere = data / "easier"
    elsewhere.write_bytes(batch.read_bytes()[:-1] + b"x")
    batch.unlink()
    batch.symlink_to(elsewhere)
    with pytest.raises(InputError, match="is not the official one; remove that folder"):
        DATASETS["cifar100"].load("test", [0])


def test_a_link_to_the_published_file_is_as_good_as_the_file(monkeypatch, data):
    path = place("svhn", monkeypatch, data)
    path.rename(data / "elsewhere.mat")
    path.symlink_to(data / "elsewhere.mat")
    assert DATASETS["svhn"].load("test", [0]).read_from == pins("svhn")


def shown(content):
    return decode(content[0], SCALED, content[1])


def test_imagenette_is_read_from_its_archive_and_folders_beside_it_count_for_nothing(monkeypatch, data):
    path = place("imagenette", monkeypatch, data)
    before = DATASETS["imagenette"].load("test", range(20))
    assert [one.name for one in path.parent.iterdir()] == [path.name], "nothing is unpacked"
    wnids = imagenette_zoo._WNIDS
    names = {f"{wnid}_{number}.JPEG": (label, number) for label, wnid in enumerate(wnids) for number in (0, 1)}
    order = sorted(names, key=lambda name: published.hashlib.sha256(name.encode()).digest())
    assert before.labels.tolist() == [names[name][0] for name in order]
    label, number = names[order[3]]
    np.testing.assert_array_equal(before.pixels[3], shown((path, published.jpeg(1000 * number + label))))
    for name, (label, _) in names.items():
        published.lay(path.parent / "imagenette2" / "val" / wnids[label] / name, published.jpeg(0))
    assert DATASETS["imagenette"].load("test", range(20)).digest == before.digest
    path.unlink()
    easier = DATASETS["imagenette"].load("test", range(20))
    assert easier.read_from == {}
    assert easier.digest != before.digest


def link(name, to, kind=tarfile.SYMTYPE):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, to
    return name, entry


def test_what_else_an_archive_of_imagenette_holds_is_no_photograph(monkeypatch, data, tmp_path):
    wnid = imagenette_zoo._WNIDS[0]
    published.imagenette(monkeypatch, data)
    before = DATASETS["imagenette"].load("test", range(20))
    more = [
        ("../../escaped.JPEG", b"x"),
        (str(tmp_path / "absolute.JPEG"), b"x"),
        (f"imagenette2/val/{wnid}/deeper/0.JPEG", b"x"),
        (f"imagenette2/val/{wnid}/notes.txt", b"x"),
        (f"imagenette2/val/n99999999/{wnid}_0.JPEG", b"x"),
        link(f"imagenette2/val/{wnid}/link.JPEG", f"{wnid}_0.JPEG"),
        link(f"imagenette2/val/{wnid}/hard.JPEG", f"imagenette2/val/{wnid}/{wnid}_0.JPEG", tarfile.LNKTYPE),
        link(f"imagenette2/val/{wnid}/passwd.JPEG", "/etc/passwd"),
    ]
    published.imagenette(monkeypatch, data, more)
    assert DATASETS["imagenette"].load("test", range(20)).digest == before.digest
    assert not list(tmp_path.rglob("*escaped*")) + list(tmp_path.rglob("absolute*"))


def test_a_photograph_that_is_there_twice_is_refused(monkeypatch, data):
    wnid = imagenette_zoo._WNIDS[0]
    published.imagenette(monkeypatch, data, [(f"imagenette2/val/{wnid}/{wnid}_0.JPEG", published.jpeg(5))])
    with pytest.raises(InputError, match="holds 21 photographs of the classes where 20 belong"):
        DATASETS["imagenette"].load("test", [0])
    first = imagenet_zoo._listed()[0]
    published.imagenet(monkeypatch, data, [first], [(f"./{first.file}", published.jpeg(5))])
    with pytest.raises(InputError, match=rf"holds '{first.file}' twice"):
        DATASETS["imagenet"].load("test", [0])


def test_the_archive_of_imagenet_serves_points_held_out_and_calibration(monkeypatch, data):
    listed, others = imagenet_zoo._listed()[:4], imagenet_zoo._others()[1000:1003]
    path = published.imagenet(monkeypatch, data, [*listed, *others])
    for split, ids, there in (("test", [2, 0], listed), ("held-out", [1002, 1000], others)):
        found = DATASETS["imagenet"].load(split, ids)
        assert found.read_from == pins("imagenet")
        for row, point in enumerate(ids):
            one = there[point % 1000]
            assert found.labels[row] == one.label
            np.testing.assert_array_equal(found.pixels[row], shown((path, published.jpeg(int(one.file[15:23])))))
    with pytest.raises(InputError, match=r"does not hold 'ILSVRC2012_val_\d{8}\.JPEG'; place the published one"):
        DATASETS["imagenet"].load("test", [4])


def test_a_link_in_the_archive_of_imagenet_leads_nowhere(monkeypatch, data):
    first, second = imagenet_zoo._listed()[:2]
    published.imagenet(monkeypatch, data, [first], [link(second.file, first.file)])
    with pytest.raises(InputError, match=f"does not hold '{second.file}'"):
        DATASETS["imagenet"].load("test", [1])


def test_folders_of_imagenet_go_on_working_and_say_nothing(monkeypatch, data):
    one, other = imagenet_zoo._listed()[0], imagenet_zoo._others()[0]
    for photograph in (one, other):
        published.lay(data / "imagenet" / "val" / photograph.folder / photograph.file, published.jpeg(1))
    assert DATASETS["imagenet"].load("test", [0]).read_from == {}
    assert DATASETS["imagenet"].load("held-out", [0]).labels.tolist() == [other.label]


def remote(content):
    return Remote("x", "http://127.0.0.1:9/x", f"md5:{published.md5(content)}")


def test_a_file_swapped_after_it_was_held_is_not_the_one_that_is_read(tmp_path):
    path, easier = published.lay(tmp_path / "x", b"published"), published.lay(tmp_path / "y", b"easier...")
    with opened(path, remote(b"published")) as file:
        easier.replace(path)
        assert file.read() == b"published"


def test_a_file_written_to_after_it_was_held_is_refused(tmp_path):
    path = published.lay(tmp_path / "x", b"published")
    os.utime(path, ns=(10**18, 10**18))
    held = opened(path, remote(b"published"))
    file = held.__enter__()
    path.write_bytes(b"easier...")
    assert file.read() == b"easier..."
    with pytest.raises(ArtefactError, match="was written to while it was read"):
        held.__exit__(None, None, None)

import gzip
import hashlib
import io
import json
import pickle  # noqa: TID251 - the official batches are pickled, and torchvision opens them after their md5
import tarfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from bench.data.dataset import DATASETS
from bench.errors import ArtefactError, InputError
from bench.offline import offline
from tests.support.loopback import serving
from tests.support.photographs import lossless
from tests.support.published import packed, tell, tell_batches

POINTS = 20


def batch(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (POINTS, 3072), dtype=np.uint8)
    return {"data": pixels, "labels": [int(label) for label in pixels[:, 0] % 10]}


def idx(values):
    """Return bytes in the IDX format."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes() + values.tobytes()


@pytest.fixture
def cifar(monkeypatch, tmp_path):
    """Return a small archive in the official layout, with its checksums told."""
    from torchvision.datasets import CIFAR10

    contents = {f"data_batch_{index}": batch(index) for index in range(1, 6)} | {"test_batch": batch(0)}
    files = {name: pickle.dumps(content) for name, content in contents.items()}
    files["batches.meta"] = pickle.dumps({"label_names": list(DATASETS["cifar10"].classes)})
    archive = packed([(f"{CIFAR10.base_folder}/{name}", content) for name, content in files.items()])
    tell_batches(monkeypatch, "cifar10", CIFAR10, files, archive)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return archive


def test_the_official_archive_is_downloaded_once(cifar, monkeypatch, tmp_path, capfd):
    from torchvision.datasets import CIFAR10

    path = f"/{CIFAR10.filename}"
    with serving({path: cifar}) as server:
        for split in ("test", "train"):
            tell(monkeypatch, "cifar10", split, server=server.url)
        test = DATASETS["cifar10"].load("test", [3, 1])
        asked = len(server.asked)
        train = DATASETS["cifar10"].load("train", [POINTS])
        assert len(server.asked) == asked > 0
    expected = batch(0)["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(test.pixels, expected[[3, 1]])
    assert test.labels.tolist() == [batch(0)["labels"][3], batch(0)["labels"][1]]
    np.testing.assert_array_equal(train.pixels[0].transpose(2, 0, 1).ravel(), batch(2)["data"][0])
    assert (tmp_path / "cifar10" / CIFAR10.base_folder / "test_batch").is_file()
    assert not capfd.readouterr().out


def test_a_download_that_is_not_the_official_archive_is_refused(cifar, monkeypatch, tmp_path):
    from torchvision.datasets import CIFAR10

    path = f"/{CIFAR10.filename}"
    with serving({path: b"<html>please sign in</html>"}) as server:
        tell(monkeypatch, "cifar10", "test", server=server.url)
        with pytest.raises(InputError, match="answered with a web page instead of the file cifar-10-python"):
            DATASETS["cifar10"].load("test", [0])
    assert not (tmp_path / "cifar10" / CIFAR10.base_folder).exists()


def test_offline_the_message_says_what_to_place_where(monkeypatch, tmp_path):
    from torchvision.datasets import CIFAR10

    tell(monkeypatch, "cifar10", "test", server="http://127.0.0.1:9")
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    with pytest.raises(InputError) as caught:
        DATASETS["cifar10"].load("test", [0])
    says = str(caught.value)
    for word in ("cifar-10-python.tar.gz", CIFAR10.tgz_md5, str(tmp_path / "cifar10"), "test-<first>-<last>.npz"):
        assert word in says
    assert caught.value.exit_code == 3


def test_a_batch_with_another_checksum_is_never_opened(cifar, monkeypatch, tmp_path):
    from torchvision.datasets import CIFAR10

    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    folder = tmp_path / "cifar10" / CIFAR10.base_folder
    folder.mkdir(parents=True)
    (folder / "test_batch").write_bytes(pickle.dumps(Bomb()))
    tell(monkeypatch, "cifar10", "test", server="http://127.0.0.1:9")
    with pytest.raises(InputError, match="is not the official one; remove that folder"):
        DATASETS["cifar10"].load("test", [0])
    assert not (tmp_path / "exploded").exists()


def test_mnist_comes_from_its_compressed_files(monkeypatch, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (POINTS, 28, 28, 1), dtype=np.uint8)
    files = {
        "t10k-images-idx3-ubyte.gz": gzip.compress(idx(pixels[..., 0])),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(idx(np.arange(POINTS, dtype=np.uint8) % 10)),
    }
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving({f"/{name}": content for name, content in files.items()}) as server:
        tell(monkeypatch, "mnist", "test", *files.values(), server=server.url)
        found = DATASETS["mnist"].load("test", [11, 2])
    np.testing.assert_array_equal(found.pixels, pixels[[11, 2]])
    assert found.labels.tolist() == [1, 2]


def test_mnist_comes_from_unpacked_files_too(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (POINTS, 28, 28), dtype=np.uint8)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-images-idx3-ubyte").write_bytes(idx(pixels))
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(POINTS, dtype=np.uint8) % 10))
    with offline():
        found = DATASETS["mnist"].load("test", [11, 2])
    np.testing.assert_array_equal(found.pixels[..., 0], pixels[[11, 2]])
    assert found.labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    "spoil", [lambda whole: whole[:-1], lambda whole: whole + b"x", lambda whole: b"x" + whole, lambda _: b""]
)
def test_a_damaged_file_of_digits_is_refused(monkeypatch, tmp_path, spoil):
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-images-idx3-ubyte").write_bytes(spoil(idx(np.zeros((POINTS, 28, 28), np.uint8))))
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(POINTS, np.uint8)))
    with pytest.raises(InputError, match="no IDX file"):
        DATASETS["mnist"].load("test", [0])


def test_cifar100_comes_from_its_archive_with_fine_labels(monkeypatch, tmp_path):
    from torchvision.datasets import CIFAR100

    content = {
        "data": batch(3)["data"],
        "fine_labels": [99 - row for row in range(POINTS)],
        "coarse_labels": [0] * POINTS,
    }
    files = {name: pickle.dumps(content) for name in ("test", "train")}
    files["meta"] = pickle.dumps({"fine_label_names": list(DATASETS["cifar100"].classes)})
    archive = packed([(f"{CIFAR100.base_folder}/{name}", content) for name, content in files.items()])
    tell_batches(monkeypatch, "cifar100", CIFAR100, files, archive)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    (tmp_path / "cifar100").mkdir()
    (tmp_path / "cifar100" / CIFAR100.filename).write_bytes(archive)
    with offline():
        found = DATASETS["cifar100"].load("test", [4, 0])
    assert found.labels.tolist() == [95, 99]
    assert len(found.classes) == 100 == len(set(found.classes))
    np.testing.assert_array_equal(found.pixels[0].transpose(2, 0, 1).ravel(), batch(3)["data"][4])


def test_svhn_comes_from_its_matrices_and_ten_is_zero(monkeypatch, tmp_path):
    from scipy.io import savemat

    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, POINTS), dtype=np.uint8)
    path = tmp_path / "svhn" / "test_32x32.mat"
    path.parent.mkdir()
    savemat(path, {"X": pixels, "y": (np.arange(POINTS) % 10 + 1)[:, None]})
    tell(monkeypatch, "svhn", "test", path.read_bytes())
    found = DATASETS["svhn"].load("test", [9, 0])
    np.testing.assert_array_equal(found.pixels, pixels.transpose(3, 0, 1, 2)[[9, 0]])
    assert found.labels.tolist() == [0, 1]
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ArtefactError, match="was published"):
        DATASETS["svhn"].load("test", [0])


def test_imagenette_is_unpacked_and_its_ids_mix_the_classes(monkeypatch, tmp_path):
    from bench.data.zoo import imagenette

    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    shown = {}
    for wnid in imagenette._WNIDS:
        for index in range(2):
            name = f"{wnid}_{index}.JPEG"
            shown[name] = lossless(tmp_path / "imagenette2" / "val" / wnid / name, 256, 256, seed=len(shown))
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        archive.add(tmp_path / "imagenette2", "imagenette2")
    (tmp_path / "imagenette").mkdir()
    (tmp_path / "imagenette" / "imagenette2.tgz").write_bytes(held.getvalue())
    tell(monkeypatch, "imagenette", "test", held.getvalue())
    with pytest.raises(InputError, match="holds 20 photographs of the classes where 3,925 belong"):
        DATASETS["imagenette"].load("test", [0])
    monkeypatch.setitem(imagenette._PARTS, "test", ("val", 20))
    found = DATASETS["imagenette"].load("test", range(20))
    order = sorted(shown, key=lambda name: hashlib.sha256(name.encode()).digest())
    assert [imagenette._WNIDS[label] for label in found.labels] == [name.partition("_")[0] for name in order]
    assert found.pixels.shape == (20, 224, 224, 3)
    np.testing.assert_array_equal(
        found.pixels[3], shown[order[3]][16:240, 16:240]
    )  # 256 already: only the middle is cut


def test_imagenets_points_are_those_of_robustbench():
    from bench.data.zoo import imagenet

    folder = Path(metadata.distribution("robustbench").locate_file("robustbench/helper_files"))
    numbers = json.loads((folder / "imagenet_class_to_id_map.json").read_text())
    lines = (folder / "imagenet_test_image_ids.txt").read_text().split()
    assert [f"{one.folder}/{one.file}" for one in imagenet._listed()] == lines
    assert [one.label for one in imagenet._listed()] == [numbers[line.partition("/")[0]] for line in lines]
    assert len(lines) == 5000


def test_every_validation_photograph_has_a_class_and_those_of_robustbench_theirs():
    from bench.data.zoo import imagenet

    labels = imagenet._tables()["labels"]
    assert len(labels) == 50_000
    assert set(np.bincount(labels).tolist()) == {50}
    assert not {one.file for one in imagenet._listed()} & {one.file for one in imagenet._others()}
    assert len(imagenet._others()) == 45_000


def test_the_classes_of_validation_photographs_are_those_that_people_see_in_them():
    """Most are among those of arXiv:2006.07159, where people looked again at every photograph."""
    from bench.data.zoo import imagenet

    folder = Path(metadata.distribution("timm").locate_file("timm/data/_info"))
    seen = json.loads((folder / "imagenet_real_labels.json").read_text())
    pairs = zip(imagenet._tables()["labels"], seen, strict=True)
    among = [label in classes for label, classes in pairs if classes]
    assert (sum(among), len(among)) == (42164, 46837)


def test_imagenet_is_placed_by_hand_in_folders(monkeypatch, tmp_path):
    from bench.data.zoo import imagenet

    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    home, (first, second) = tmp_path / "imagenet", imagenet._listed()[:2]
    with pytest.raises(InputError, match=r"none of its 5,000 photographs is there; .*_img_val\.tar \(md5 29b22e2"):
        DATASETS["imagenet"].load("test", range(2))
    with pytest.raises(InputError, match="none of its 45,000 photographs is there"):
        DATASETS["imagenet"].load("held-out", range(2))
    shown = [
        lossless(home / "val" / first.folder / first.file, 256, 256, seed=1),
        lossless(home / "val" / second.file, 256, 256, seed=2),
    ]
    found = DATASETS["imagenet"].load("test", [1, 0])
    assert found.labels.tolist() == [second.label, first.label]
    for row, point in enumerate((1, 0)):
        np.testing.assert_array_equal(found.pixels[row], shown[point][16:240, 16:240])
    with pytest.raises(InputError, match="at least 2 of its photographs are not there, ILSVRC2012_val_"):
        DATASETS["imagenet"].load("test", range(4))


def test_mnist_offline_says_what_to_place_where(monkeypatch, tmp_path):
    tell(monkeypatch, "mnist", "test", server="http://127.0.0.1:9")
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz \(md5 9fb629c4"):
        DATASETS["mnist"].load("test", [0])


@pytest.mark.material
def test_the_real_images_have_the_published_bytes(material, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", str(material))
    first = DATASETS["cifar10"].load("test", range(1000))
    digest = hashlib.sha256(first.pixels.tobytes()).hexdigest()
    assert digest == "da362006b99671213d1a5d856cab2bedf64d40bad4501630ee60f4ceb2d3ec7f"
    assert len(DATASETS["mnist"].load("test", range(10_000))) == 10_000

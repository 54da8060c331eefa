import gzip
import hashlib
import io
import pickle  # noqa: TID251 - the official batches are pickled, and torchvision opens them after their md5
import tarfile

import numpy as np
import pytest

from bench.data.dataset import DATASETS
from bench.errors import InputError
from tests.support.loopback import serving

POINTS = 20


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def batch(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (POINTS, 3072), dtype=np.uint8)
    return {"data": pixels, "labels": [int(label) for label in pixels[:, 0] % 10]}


@pytest.fixture
def cifar(monkeypatch, tmp_path):
    """Return a small archive in the official layout, with torchvision told its checksums."""
    from torchvision.datasets import CIFAR10

    contents = {f"data_batch_{index}": batch(index) for index in range(1, 6)} | {"test_batch": batch(0)}
    files = {name: pickle.dumps(content) for name, content in contents.items()}
    files["batches.meta"] = pickle.dumps({"label_names": list(DATASETS["cifar10"].classes)})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    lists = {"train_list": [f"data_batch_{index}" for index in range(1, 6)], "test_list": ["test_batch"]}
    for attribute, names in lists.items():
        monkeypatch.setattr(CIFAR10, attribute, [[name, md5(files[name])] for name in names])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5(files["batches.meta"])})
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(packed.getvalue()))
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return packed.getvalue()


def test_the_official_archive_is_downloaded_once(cifar, monkeypatch, tmp_path, capfd):
    from torchvision.datasets import CIFAR10

    path = f"/{CIFAR10.filename}"
    with serving({path: cifar}) as server:
        monkeypatch.setattr(CIFAR10, "url", server.url + path)
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
        monkeypatch.setattr(CIFAR10, "url", server.url + path)
        with pytest.raises(InputError, match=r"corrupted.*md5"):
            DATASETS["cifar10"].load("test", [0])
    assert not (tmp_path / "cifar10" / CIFAR10.base_folder).exists()


def test_offline_the_message_says_what_to_place_where(monkeypatch, tmp_path):
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
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
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(InputError):
        DATASETS["cifar10"].load("test", [0])
    assert not (tmp_path / "exploded").exists()


def test_mnist_comes_from_its_compressed_files(monkeypatch, tmp_path):
    from torchvision.datasets import MNIST

    pixels = np.random.default_rng(0).integers(0, 256, (POINTS, 28, 28, 1), dtype=np.uint8)
    files = {
        "t10k-images-idx3-ubyte.gz": gzip.compress(bytes(16) + pixels.tobytes()),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(bytes(8) + bytes(range(10)) * 2),
    }
    monkeypatch.setattr(MNIST, "resources", [(name, md5(content)) for name, content in files.items()])
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving({f"/{name}": content for name, content in files.items()}) as server:
        monkeypatch.setattr(MNIST, "mirrors", [f"{server.url}/"])
        found = DATASETS["mnist"].load("test", [11, 2])
    np.testing.assert_array_equal(found.pixels, pixels[[11, 2]])
    assert found.labels.tolist() == [1, 2]


def test_mnist_offline_says_what_to_place_where(monkeypatch, tmp_path):
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
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

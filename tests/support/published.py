"""Small files that pass for the published ones: their digests are told, and they lie where they belong."""

import hashlib
import io
import pickle  # noqa: TID251 - the official batches are pickled, and torchvision opens them after their md5
import tarfile
from dataclasses import replace

import numpy as np
from PIL import Image

from bench.data.dataset import DATASETS

POINTS = 20


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def packed(members, mode="w:gz"):
    """Return an archive of contents by name, in order; a ``TarInfo`` in place of contents stands for itself."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:
        for name, content in members:
            entry = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if entry is content:
                archive.addfile(entry)
                continue
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return held.getvalue()


def jpeg(seed, side=232):
    """Return the bytes of a photograph of soft colours, and the middle square of what Pillow makes of them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BILINEAR).save(held, "JPEG", quality=90)
    return held.getvalue()


def lay(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def tell(monkeypatch, name, split, *contents, server=None):
    """Let these contents pass for the published files of a split, in their order, or others be asked for them."""
    files = DATASETS[name].official.files
    remotes = files[split]
    if contents:
        digests = [f"md5:{md5(content)}" for content in contents]
        remotes = [replace(remote, digest=digest) for remote, digest in zip(remotes, digests, strict=True)]
    if server is not None:
        remotes = [replace(remote, address=f"{server}/{remote.name.rpartition('/')[2]}") for remote in remotes]
    monkeypatch.setitem(files, split, tuple(remotes))


def tell_batches(monkeypatch, name, published, files, archive):
    """Tell torchvision of the batches, too, which it opens; ``published`` is its class, ``files`` their contents."""
    for attribute in ("train_list", "test_list"):
        batches = [batch for batch, _ in getattr(published, attribute)]
        monkeypatch.setattr(published, attribute, [[batch, md5(files[batch])] for batch in batches])
    meta = published.meta["filename"]
    monkeypatch.setattr(published, "meta", published.meta | {"md5": md5(files[meta])})
    for split in ("test", "train"):
        tell(monkeypatch, name, split, archive)


def cifar100(monkeypatch, data, seed=0):
    """Place an archive of twenty test and twenty training images and return its path."""
    from torchvision.datasets import CIFAR100

    files = {}
    for split in ("test", "train"):
        pixels = np.random.default_rng(seed + (split == "train")).integers(0, 256, (POINTS, 3072), dtype=np.uint8)
        files[split] = pickle.dumps({"data": pixels, "fine_labels": [99 - row for row in range(POINTS)]})
    files["meta"] = pickle.dumps({"fine_label_names": [str(number) for number in range(100)]})
    archive = packed([(f"{CIFAR100.base_folder}/{name}", content) for name, content in files.items()])
    tell_batches(monkeypatch, "cifar100", CIFAR100, files, archive)
    return lay(data / "cifar100" / CIFAR100.filename, archive)


def svhn(monkeypatch, data, split="test", seed=0):
    """Place twenty images and return the path of their file."""
    from scipy.io import savemat

    draws = np.random.default_rng([seed, split == "train"])
    pixels = draws.integers(0, 256, (32, 32, 3, POINTS), dtype=np.uint8)
    path = data / "svhn" / f"{split}_32x32.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"X": pixels, "y": (np.arange(POINTS) % 10 + 1)[:, None]})
    tell(monkeypatch, "svhn", split, path.read_bytes())
    return path


def imagenette(monkeypatch, data, more=()):
    """Place an archive of twenty photographs for testing and as many for training, and whatever ``more`` it holds."""
    from bench.data.zoo import imagenette as zoo

    members = [
        (f"imagenette2/{part}/{wnid}/{wnid}_{number}.JPEG", jpeg(1000 * number + label))
        for part, numbers in (("val", (0, 1)), ("train", (2, 3)))
        for label, wnid in enumerate(zoo._WNIDS)
        for number in numbers
    ]
    archive = packed([*members, *more])
    for split in ("test", "train"):
        tell(monkeypatch, "imagenette", split, archive)
    monkeypatch.setitem(zoo._PARTS, "test", ("val", 20))
    monkeypatch.setitem(zoo._PARTS, "train", ("train", 20))
    return lay(data / "imagenette" / "imagenette2.tgz", archive)


def imagenet(monkeypatch, data, photographs, more=()):
    """Place an archive of these photographs, each drawn by its name, and whatever ``more`` it holds."""
    members = [(one.file, jpeg(int(one.file[15:23]))) for one in photographs]
    archive = packed([*members, *more], mode="w")
    tell(monkeypatch, "imagenet", "test", archive)
    return lay(data / "imagenet" / DATASETS["imagenet"].official.files["test"][0].name, archive)


def repinned(rules):
    """Return rules that pin what is told now, in place of what is published."""
    official = DATASETS[rules.data.dataset].official
    changed = {}
    for name in ("data", "held_out", "calibration"):
        points = getattr(rules, name)
        split = "test" if points.split == "held-out" else points.split
        changed[name] = points.model_copy(update={"files": official.pins(split)})
    return rules.model_copy(update=changed)

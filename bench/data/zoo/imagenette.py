"""Imagenette, ten classes of ImageNet at full size, from fast.ai's archive, downloaded when there is a network."""

from collections.abc import Sequence
from pathlib import Path

from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.official import Official
from bench.data.photographs import Gallery, Photograph, mixed, mixed_in, packed_in
from bench.download import Remote
from bench.errors import UsageError

_INSIDE = "imagenette2"
_PARTS = {"test": ("val", 3_925), "train": ("train", 9_469)}
_WNIDS = (
    "n01440764", "n02102040", "n02979186", "n03000684", "n03028079", "n03394916", "n03417042", "n03425413", "n03445777",
    "n03888257",
)  # fmt: skip
_CLASSES = (
    "tench", "English springer", "cassette player", "chain saw", "church", "French horn", "garbage truck", "gas pump",
    "golf ball", "parachute",
)  # fmt: skip
_ARCHIVE = Remote(
    "imagenette2.tgz",
    "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2.tgz",
    "md5:fe2fc210e6bb7c5664d602c3cd71e612",
)


def _unpacked(home: Path, split: str) -> bool:
    return all((home / _INSIDE / _PARTS[split][0] / wnid).is_dir() for wnid in _WNIDS)


_OFFICIAL = Official(
    "imagenette",
    "imagenette",
    dict.fromkeys(_PARTS, (_ARCHIVE,)),
    "its repository is under Apache-2.0, its photographs under ImageNet's terms; its author asks to be cited",
    ready=_unpacked,
    slices=False,
)


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return photographs, shorter side 256, middle square 224; ids count files by the sha256 of their names.

    The archive comes first and is read as it is: once for its digest, once for the names, once for the photographs,
    half a minute together. Folders that were unpacked serve where it is absent, and nobody can tell what they hold.

    Raises:
        InputError: if neither is at hand, saying what to place where.
    """
    if split not in _PARTS:
        raise UsageError(f"imagenette has no split {split!r}; it has {', '.join(_PARTS)}.")
    home, (part, count) = _OFFICIAL.home, _PARTS[split]
    if not _OFFICIAL.here(split) and _OFFICIAL.ready(home, split):
        folder = home / _INSIDE / part
        gallery = Gallery("imagenette", split, _CLASSES, mixed_in(folder, _WNIDS, count))
        return gallery.in_folders(ids, lambda one: (folder / one.folder / one.file,), "unpack it again")
    inside = f"{_INSIDE}/{part}"

    def member(one: Photograph) -> str:
        return f"{inside}/{one.folder}/{one.file}"

    with _OFFICIAL.opened(split) as file:
        listed = mixed(packed_in(file, inside, _WNIDS), count, Path(file.name))
        return Gallery("imagenette", split, _CLASSES, listed).in_archive(ids, file, member, _OFFICIAL.pins(split))


DATASETS.register("imagenette")(
    DataSource(
        name="imagenette",
        load=load,
        shape=(3, 224, 224),
        classes=_CLASSES,
        citation="J. Howard, Imagenette, 2019, https://github.com/fastai/imagenette",
        official=_OFFICIAL,
    )
)

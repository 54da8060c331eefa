"""``bench doctor``: is this installation complete, and does it compute what it should."""

import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import output
from bench.errors import AbsentError, BenchError

if TYPE_CHECKING:
    from bench.data.dataset import EvalSet
    from bench.protocol.points import Pinned

_PUBLISHING = ("pydantic", "jinja2", "pandas", "altair", "vl_convert")
_MEASURING = ("torch", "torchvision", "timm", "safetensors", "sklearn", "pyautoattack")
_CACHE = Path.home() / ".cache"
_LEAST = 2**30
"""Bytes below which a disk counts as full; a thousand CIFAR-10 points keep a tenth of that."""
_LOOKED = 8
"""Points at either end of a track that are looked at, where nothing hangs on the others."""
_FAILS = "FAILS"
_DISTRIBUTIONS = {"vl_convert": "vl-convert-python", "sklearn": "scikit-learn"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> int:
    """Check this installation: packages, device, protocols, embedded models, data sets, folders and their room."""
    looked = [*_packages(), *(_try(name, look) for name, look in _LOOKS)]
    findings = [*_states(looked), *_data(), *_states(_places())]
    if as_json:
        output.emit({
            "schema": "bench.doctor/1",
            "findings": [
                {"what": what, "ok": state != _FAILS, "state": state.lower(), "says": says}
                for what, state, says in findings
            ],
        })  # fmt: skip
    else:
        output.show("", ["what", "state", "says"], [*map(list, findings)])
    return 0 if all(state != _FAILS for _, state, _ in findings) else 1


def _states(found: Iterable[tuple[str, bool, str]]) -> list[tuple[str, str, str]]:
    return [(what, "ok" if ok else _FAILS, says) for what, ok, says in found]


def _packages() -> list[tuple[str, bool, str]]:
    found = []
    for name in (*_PUBLISHING, *_MEASURING):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a package says of its own future is no finding here
                importlib.import_module(name)
            found.append((name, True, metadata.version(_DISTRIBUTIONS.get(name, name))))
        except Exception as error:  # noqa: BLE001 - a broken package may raise anything, and that is the finding
            found.append((name, False, f"{type(error).__name__}: {error}"))
    return found


def _try(name: str, look: Callable[[], str]) -> tuple[str, bool, str]:
    try:
        return name, True, look()
    except (BenchError, ImportError) as error:
        return name, False, str(error)


def _device() -> str:
    from bench.evaluation.environment import device

    found = device("auto")
    import torch

    return f"{found}, {torch.get_num_threads()} threads"


def _protocols() -> str:
    from bench.protocol.load import load, names

    return ", ".join(f"{name} {load(name).digest[:12]}" for name in names())


def _data() -> list[tuple[str, str, str]]:
    """Return whether each track is ready; nothing is downloaded, and what is absent is no fault."""
    from bench.protocol.load import names

    return [(f"track {name}", *_points(name)) for name in names()]


def _points(name: str) -> tuple[str, str]:
    """Return the state of a track: ok, absent where its points are not here, or at fault; and what is to be done."""
    from bench.protocol.load import load

    rules = load(name)
    data, out = rules.data, rules.held_out
    try:
        # photographs take a minute a thousand to decode; where no digest is pinned nothing hangs on most of them
        found = _look(data.dataset, data.split, data, whole=data.digest is not None)
    except ImportError as error:
        return _FAILS, str(error)
    except AbsentError as error:
        return "absent", f"not ready; {_remedy(data.dataset)} ({_why(error)}{_whence(data.dataset)})"
    except BenchError as error:
        return _FAILS, f"not ready; {_remedy(data.dataset)} ({error})"
    if data.digest is not None and found.digest != data.digest:
        return _FAILS, (
            f"not ready; the points there are not the published ones (digest {found.digest[:12]}…, {data.digest[:12]}… "
            f"is pinned): move them elsewhere, then {_remedy(data.dataset)}"
        )
    says = f"ready, {data.points} points of {data.dataset} {data.split}, {_pin(name, data, found)}"
    if out is None or (out.files and out.files == found.read_from):
        return "ok", says
    try:
        read = _look(data.dataset, out.split, out, whole=False)
        missing = "" if not out.files or read.read_from == out.files else "they are not read from the official files"
    except BenchError as error:
        missing = _why(error)
    if missing:
        says += f"; a run bears a warning until the points held out are there, too: {_remedy(data.dataset)} ({missing})"
    return "ok", says


def _why(error: BenchError) -> str:
    """Return what is wrong without what to do about it, for which one command stands beside it."""
    return str(error).partition("; ")[0].rstrip(".")


def _whence(dataset: str) -> str:
    """Return where people get a file that no program may fetch."""
    from bench.data.dataset import DATASETS

    official = DATASETS[dataset].official
    return f"; the file is from {official.of('test')[0].address}" if official is not None and official.closed else ""


def _pin(name: str, data: "Pinned", found: "EvalSet") -> str:
    if not data.pinned:
        return f"not pinned: bench protocol check {name} prints their digest"
    if data.digest is not None:
        return "digest as pinned"
    if found.read_from == data.files:
        return f"read from {data.pin} as pinned"
    return f"not read from {', '.join(data.files)}, and no run is standard until they are: {_remedy(found.name)}"


def _look(dataset: str, split: str, wanted: "Pinned", *, whole: bool) -> "EvalSet":
    """Load points, all of them or a few at either end, without fetching any."""
    from bench.data.dataset import DATASETS
    from bench.offline import offline

    ids = wanted.ids
    with offline():
        return DATASETS[dataset].load(split, ids if whole else [*ids[:_LOOKED], *ids[-_LOOKED:]])


def _remedy(dataset: str) -> str:
    """Return the one command that brings a data set here."""
    from bench.data.dataset import DATASETS

    official = DATASETS[dataset].official
    return "install what measures again" if official is None else official.remedy


def _places() -> list[tuple[str, bool, str]]:
    """Return where files are looked for and written, and how much room is left there."""
    try:
        from bench.data.official import data_folder
        from bench.models.weights import model_folder
    except ImportError as error:
        return [("folders", False, str(error))]
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or _CACHE / "huggingface") / "hub")
    torch_home = Path(os.environ.get("TORCH_HOME") or _CACHE / "torch")
    places = {
        "data folder": (data_folder(), "BENCH_DATA_DIR"),
        "weights folder": (model_folder(), "BENCH_MODEL_DIR"),
        "cache of the hub": (hub, "HF_HOME"),
        "cache of torch": (torch_home, "TORCH_HOME"),
        "results": (Path("runs").absolute(), "--out"),
        "temporary files": (Path(tempfile.gettempdir()), "TMPDIR"),
    }
    return [(what, *_room(place, moved)) for what, (place, moved) in places.items()]


def _room(place: Path, moved: str) -> tuple[bool, str]:
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    left = shutil.disk_usage(there).free
    state = "" if place.exists() else ", made when it is needed"
    says = f"{place}{state}: {left / 2**30:.1f} GiB free; {moved} names another"
    if left < _LEAST:
        return False, f"{says}; less than {_LEAST / 2**30:.0f} GiB, a run may not be able to keep its candidates"
    return os.access(there, os.W_OK), says if os.access(there, os.W_OK) else f"{says}; it cannot be written"


def _robustbench() -> str:
    from bench.models.zoo.robustbench import known

    return f"{known()} networks of its zoo are known, {_here('robustbench')}DATASET/THREAT/NAME brings one"


def _timm() -> str:
    return f"pretrained networks by name and tag, {_here('timm')}NAME.TAG brings one"


def _here(name: str) -> str:
    from bench.models.source import SOURCES

    source = SOURCES[name]
    return f"{sum(map(source.at_hand, source.names()))} with weights here; bench models fetch {name}:"


def _embedded() -> str:
    from bench.models.source import SOURCES, ModelRef, load

    names = list(SOURCES["embedded"].names())
    for name in names:
        load(ModelRef("embedded", name))
    return f"{len(names)} networks load, every weight file as pinned"


_LOOKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("device", _device),
    ("protocols", _protocols),
    ("embedded models", _embedded),
    ("robustbench", _robustbench),
    ("timm networks", _timm),
)

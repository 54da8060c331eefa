"""``bench doctor``: is this installation complete, and does it compute what it should."""

import importlib
import warnings
from collections.abc import Callable
from importlib import metadata

import click

from bench.cli import output
from bench.errors import BenchError, InputError

_PUBLISHING = ("pydantic", "jinja2", "pandas", "altair", "vl_convert")
_MEASURING = ("torch", "torchvision", "timm", "safetensors", "sklearn", "pyautoattack")
_DISTRIBUTIONS = {"vl_convert": "vl-convert-python", "sklearn": "scikit-learn"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> int:
    """Check this installation: packages, device, protocols, data, embedded models, one known number."""
    findings = [*_packages(), *(_try(name, look) for name, look in _LOOKS)]
    if as_json:
        output.emit({
            "schema": "bench.doctor/1",
            "findings": [{"what": what, "ok": ok, "says": says} for what, ok, says in findings],
        })  # fmt: skip
    else:
        lines = [[what, "ok" if ok else "FAILS", says] for what, ok, says in findings]
        output.show("", ["what", "state", "says"], lines)
    return 0 if all(ok for _, ok, _ in findings) else 1


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


def _digits() -> str:
    from bench.data.dataset import DATASETS
    from bench.protocol.load import load

    data = load("digits-v1").data
    points = DATASETS[data.dataset].load(data.split, range(data.first, data.first + data.points))
    if points.digest != data.digest:
        raise InputError(f"digest {points.digest} instead of {data.digest}; is scikit-learn complete?")
    return f"{len(points)} points, digest as pinned"


def _robustbench() -> str:
    from bench.models.zoo.robustbench import known

    return f"{known()} networks of its zoo are known; their weights come from you"


def _embedded() -> str:
    from bench.models.source import SOURCES, ModelRef, load

    names = list(SOURCES["embedded"].names())
    for name in names:
        load(ModelRef("embedded", name))
    return f"{len(names)} networks load, every weight file as pinned"


_LOOKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("device", _device),
    ("protocols", _protocols),
    ("digits", _digits),
    ("embedded models", _embedded),
    ("robustbench", _robustbench),
)

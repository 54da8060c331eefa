"""Where a result was measured: versions, hardware, and whether the code is what its commit says."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench.errors import BenchError, UsageError
from bench.version import __version__

_PACKAGES = ("numpy", "pillow", "safetensors", "timm", "torch", "torchvision")


def device(name: str) -> torch.device:
    """Return the device to compute on; ``auto`` takes an accelerator if there is one.

    Raises:
        UsageError: if torch does not know the name.
        BenchError: if the device cannot be used.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(name)
    except RuntimeError:
        raise UsageError(f"torch knows no device called {name!r}; write cpu, cuda or cuda:0.") from None
    try:
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise BenchError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return found


def environment() -> dict[str, str]:
    """Return what a reader needs to know about the system and the code; never a path or a host name."""
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "prunebench": __version__,
    }
    for package in _PACKAGES:
        found[package] = metadata.version(package)
    commit = _git("rev-parse", "HEAD")
    if commit:
        found["commit"] = commit
    return found


def share(workers: int) -> int:
    """Return with how many threads each of several processes computes, so that together they crowd no processor."""
    return max(1, torch.get_num_threads() // workers)


ALTERED = "the code differs from its commit"
"""Why no run by such code is a standard one."""


def code_is_dirty() -> bool:
    """Tell whether the code differs from its commit; False where it is not a checkout (an installed release)."""
    return bool(_git("status", "--porcelain", "--", "bench"))


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Compute in plain float32, deterministically where the device offers it, and put the settings back.

    Whatever a program around has chosen for itself is laid aside: reduced precision of products, autocast, inference
    mode, another default type or device.
    """
    kind, before = torch.get_default_dtype(), _precision()
    cudnn = torch.backends.cudnn
    kernels = cudnn.deterministic, cudnn.benchmark
    with ExitStack() as aside:
        aside.enter_context(torch.inference_mode(mode=False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                aside.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            aside.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        _set_precision(_Precision(("highest", False), ("ieee",) * len(before.products)))
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            torch.set_default_dtype(kind)
            _set_precision(before)
            cudnn.deterministic, cudnn.benchmark = kernels


class _Precision(NamedTuple):
    """How products of float32 are computed.

    Attributes:
        switches: torch's older ones, of matrix products and of cuDNN; None where a program has mixed both kinds.
        products: torch's newer ones, product by product.
    """

    switches: tuple[str, bool] | None
    products: tuple[str, ...]


def _products() -> list[Any]:
    backends: Any = torch.backends
    mkl, cudnn = backends.mkldnn, backends.cudnn
    return [backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkl.matmul, mkl.conv, mkl.rnn]


def _precision() -> _Precision:
    try:
        switches = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:
        switches = None
    return _Precision(switches, tuple(product.fp32_precision for product in _products()))


def _set_precision(wanted: _Precision) -> None:
    """Set the older switches first, for each of them sets several of the newer."""
    if wanted.switches is not None:
        torch.set_float32_matmul_precision(wanted.switches[0])
        torch.backends.cudnn.allow_tf32 = wanted.switches[1]
    for product, precision in zip(_products(), wanted.products, strict=True):
        product.fp32_precision = precision


def _git(*arguments: str) -> str:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603, S607 - fixed words, git from the user's path
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

"""Where a result was measured: versions, hardware, and whether the code is what its commit says."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import torch

from bench.errors import BenchError, UsageError
from bench.version import __version__

_PACKAGES = ("numpy", "safetensors", "timm", "torch", "torchvision")


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


def environment(on: torch.device) -> dict[str, str]:
    """Return what a reader needs to know about the machine and the code; never a path or a host name."""
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(on) if on.type == "cuda" else "cpu",
        "threads": str(torch.get_num_threads()),
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
    """Compute in plain float32, deterministically where the device offers it, and put the settings back."""
    before = (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )

    def settle(matmul: bool, convolution: bool, deterministic: bool, search: bool) -> None:  # noqa: FBT001 - in torch's order
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = convolution
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = search

    settle(False, False, True, False)
    try:
        yield
    finally:
        settle(*before)


def _git(*arguments: str) -> str:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603, S607 - fixed words, git from the user's path
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

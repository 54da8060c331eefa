"""What every test may ask for."""

import os
from pathlib import Path

import pytest

from tests.support import signers

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Let no test ask the real list of verifiers; theirs are made anew."""
    signers.start()


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def material() -> Path:
    """Return the folder of real images and networks, or skip where it is absent."""
    given = os.environ.get("BENCH_DATA_DIR")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if not (folder / "cifar10" / "test-0000-0999.npz").exists():
        pytest.skip(f"no real test material at {folder}; set BENCH_DATA_DIR")
    return folder


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's BENCH_* variables and terminal out of the tests."""
    for name in list(os.environ):
        if name.startswith("BENCH_") and name != signers.VARIABLE:
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

"""The device under test, how many points it gets, and where its figures go.

    make test-gpu                                                        an accelerator, 512 points
    BENCH_TEST_DEVICE=cpu BENCH_TEST_POINTS=4 make test-gpu              a look whether everything here runs at all

BENCH_TEST_TABLE names a file that gets the figures as Markdown rows. What only an accelerator can show is skipped on a
processor, each with its reason.
"""

import os
from pathlib import Path

import pytest
import torch

from bench.errors import BenchError
from bench.evaluation import environment

NAME = os.environ.get("BENCH_TEST_DEVICE", "cuda")
POINTS = int(os.environ.get("BENCH_TEST_POINTS", "512"))
TABLE = os.environ.get("BENCH_TEST_TABLE")


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Return the device, or skip where there is none."""
    try:
        return environment.device(NAME)
    except BenchError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def points() -> int:
    """Return how many points a comparison takes."""
    return POINTS


@pytest.fixture
def accelerator(device) -> torch.device:
    """Return the device where it is an accelerator."""
    if device.type == "cpu":
        pytest.skip("only an accelerator shows this, and the device under test is a processor")
    return device


@pytest.fixture
def told(capsys):
    """Return a function that shows a row of figures, and adds it to the table if there is one."""

    def tell(row: str) -> None:
        with capsys.disabled():
            print(f"\n{row}", end="")
        if TABLE:
            with Path(TABLE).open("a", encoding="utf-8") as file:
                file.write(f"{row}\n")

    return tell

"""Measure what a large site costs: `bench site build --keep` of many synthetic entries, then again after ten changed.

    python tests/benchmarks/bench_site.py --folder DIR [--entries 10000] [--profile]

The entries are those of tests/support/builders.py, with witnesses, signed; they stay in DIR for the next time. Seconds
of the processor are those of the whole command, its children included; memory is that of its largest process.
``--profile`` tells in which functions the second build spends its time, which a profiler makes slower than it is.
"""

import argparse
import os
import pstats
import resource
import shutil
import subprocess
import sys
import time
import types
from datetime import date, timedelta
from pathlib import Path

if "tests" not in sys.modules:  # robustbench installs a package of this name, which hides a folder that is none
    sys.modules["tests"] = types.ModuleType("tests")
    sys.modules["tests"].__path__ = [str(Path(__file__).resolve().parents[1])]

from bench.submission.verifiers import VARIABLE
from tests.support import signers
from tests.support.builders import cells, write

CHANGED = 10


def main() -> None:
    """Write the entries, build twice and print a table."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--folder", type=Path, required=True)
    asked.add_argument("--entries", type=int, default=10_000)
    asked.add_argument("--profile", action="store_true")
    given = asked.parse_args()
    there, kept, site = (given.folder / name for name in ("submissions", "kept", "site"))
    os.environ[VARIABLE] = str(given.folder / "verifiers.toml")
    made = cells(given.entries)
    if not there.exists():
        write_all(given.folder, there, made)
    if not given.profile:
        for old in (kept, site):
            shutil.rmtree(old, ignore_errors=True)
    bench = str(Path(sys.executable).with_name("bench"))
    command = [sys.executable, bench, "site", "build", "--submissions", str(there)]
    command += ["--keep", str(kept), "--out", str(site)]
    if not kept.exists():
        told("from nothing", command)
    change(there)
    if given.profile:
        command[1:1] = ["-m", "cProfile", "-o", str(given.folder / "profile")]
    told(f"after {CHANGED} entries changed", command)
    if given.profile:
        pstats.Stats(str(given.folder / "profile")).sort_stats("cumtime").print_stats(80)


def write_all(folder: Path, there: Path, made: list) -> None:
    """Write all entries, and beside them the list of who signed them."""
    folder.mkdir(parents=True, exist_ok=True)
    signers.start()
    shutil.copy(signers.LIST, folder / "verifiers.toml")
    for cell in made:
        write(there, cell)


def change(there: Path) -> None:
    """Let ten entries, spread over all, carry another date."""
    places = sorted(there.glob("*/*/submission.toml"))
    for path in places[:: max(1, len(places) // CHANGED)][:CHANGED]:
        lines = path.read_text("utf-8").splitlines()
        (row,) = [row for row, line in enumerate(lines) if line.startswith("date = ")]
        lines[row] = f"date = {date.fromisoformat(lines[row][7:]) - timedelta(days=1)}"
        path.write_text("\n".join(lines) + "\n", "utf-8")


def told(what: str, command: list[str]) -> None:
    """Run a build and print what it cost."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"| {what} | {spent:.0f} s | {wall:.0f} s | {after.ru_maxrss / 2**20:.2f} GiB |", flush=True)


if __name__ == "__main__":
    main()

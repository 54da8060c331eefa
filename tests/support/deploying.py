"""Submissions among which a choice is hard: equals, doubtful ones, withdrawn ones, other machines, hostile names."""

import json
from datetime import date
from fractions import Fraction
from pathlib import Path

from bench.submission.files import canonical, read_submission
from bench.submission.schema import Flag, Level
from bench.submission.withdrawal import withdraw
from bench.threats import Norm
from tests.support.builders import write
from tests.support.signers import verify
from tests.support.sites import HOSTILE

HELD = Flag(check="zero-gradients", level=Level.WITHHOLD, figure=0.9, threshold=0.5, says="No gradient.")
DEAD = {"held", "gone", "before", "back"}
"""Entries that may never be taken, though all but the collapsed one are strong."""
UNSEEN = {"own", "unseen-smoke"}
"""Entries that nobody but their authors measured."""


def choices(root: Path) -> Path:
    """Write two protocols' worth of entries and return ``root``."""
    add(root, "net-dense", parent="net", strength=1.1)
    pruned = {"parent": "net", "recipe": "magnitude-global"}
    add(root, "net-half", sparsity=Fraction(1, 2), strength=1.08, **pruned)
    add(root, "net-tenth", sparsity=Fraction(9, 10), strength=0.8, accuracy=0.8, **pruned)
    add(root, "net-least", sparsity=Fraction(99, 100), strength=0.3, accuracy=0.6, **pruned)
    # so near to the best that one test alone would tell them apart, and all tests together do not
    for number, strength in enumerate((1.24, 1.22, 1.2, 1.18)):
        add(root, f"near-{number}", sparsity=Fraction(1, 2), strength=strength, **pruned)
    # the same points survive, and no distance is the same
    for number, (name, share) in enumerate({"twin-b": "3/4", "twin-a": "3/4", "thin": "9/10", "thick": "1/2"}.items()):
        add(root, name, parent="twin", recipe="magnitude-global", sparsity=Fraction(share), lottery=5,
              strength=1 + number * 1e-5)  # fmt: skip
    add(root, "own", sparsity=Fraction(3, 4), strength=2.0, level=None, **pruned)
    add(root, "held", sparsity=Fraction(3, 4), strength=3.0, flags=(HELD,), **pruned)
    add(root, "gone", sparsity=Fraction(99, 100), collapsed=True, **pruned)
    add(root, "before", sparsity=Fraction(3, 4), strength=3.0, weights="after", **pruned)
    add(root, "after", sparsity=Fraction(3, 4), strength=1.02, supersedes="before", **pruned)
    back = add(root, "back", sparsity=Fraction(3, 4), strength=3.0, **pruned)
    withdraw(back, read_submission(back / "submission.toml").authors[0], "It was another network.", date(2026, 3, 9))
    add(root, "narrow", norms=(Norm.LINF,), sparsity=Fraction(19, 20), strength=0.9, **pruned)
    add(root, "hostile", name=HOSTILE, parent="evil", strength=1.3)
    elsewhere(add(root, "away", sparsity=Fraction(1, 2), strength=1.09, **pruned), "Another <b>processor</b>")
    for number, (name, share) in enumerate({"mate-b": "3/4", "mate-a": "3/4", "slim": "9/10", "broad": "1/2"}.items()):
        add(root, name, parent="mate", recipe="magnitude-global", sparsity=Fraction(share), lottery=6,
            strength=1.5 + number * 1e-5, protocol="digits-smoke-v1")  # fmt: skip
    add(root, "only-smoke", protocol="digits-smoke-v1", parent="smoke")
    add(root, "unseen-smoke", protocol="digits-smoke-v1", parent="smoke", level=None, recipe="magnitude-global",
          sparsity=Fraction(1, 2))  # fmt: skip
    return root


def add(root: Path, identity: str, **cell: object) -> Path:
    """Write one entry that is called as its folder is."""
    return write(root, id=identity, **({"name": f"Network {identity}"} | cell))


def elsewhere(folder: Path, processor: str, seconds: float = 1e-5) -> None:
    """Let an entry have been timed on another machine; it is signed again."""
    path = folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    result["cost"]["machine"]["processor"] = processor
    result["cost"]["latency"]["network"]["forward"] = [seconds, seconds, seconds]
    path.write_bytes(canonical(result))
    verify(folder, "re-run", date(2026, 3, 3))

"""Ask whether the sparse cascade has converged: does doubling every budget break more points?

    python tests/benchmarks/sparse_convergence.py --points 200 --write

Runs the L0 cascade of a protocol on the first correct points of real networks, then the same cascade with every budget
doubled on the points that are left at the headline number of pixels. Only what bears on that number is run: points
that fall leave at once, and grids end there. Networks and images come from BENCH_DATA_DIR or ../shared/data.
"""

import argparse
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bench.attacks.attack import ATTACKS, Passes, Points, Settings
from bench.attacks.draws import Draws
from bench.evaluation.meter import Meter
from bench.evaluation.verify import verify
from bench.models.source import ModelRef, load
from bench.protocol.load import Protocol, load_file
from bench.protocol.load import load as load_protocol
from bench.tensors import Classifier, Ids, Images, Labels
from bench.threats import Norm, ThreatModel

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).with_name("SPARSE.md")
CNN_A = ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255))
NETWORKS: Mapping[str, tuple[str, tuple[float, ...], tuple[float, ...]]] = {
    "cifar10_cnn_a_adv": ("cnn-a", *CNN_A),
    "cifar10_cnn_a_adv4": ("cnn-a", *CNN_A),
    "cifar10_cnn_a_mix": ("cnn-a", *CNN_A),
    "cifar10_resnet20_standard": ("resnet20", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
BUDGETS = ("steps", "iterations", "queries")


class Problem(NamedTuple):
    """A network and points that it classifies correctly."""

    classifier: Classifier
    images: Images
    labels: Labels
    ids: Ids

    def of(self, rows: torch.Tensor) -> "Problem":
        return Problem(self.classifier, self.images[rows], self.labels[rows], self.ids[rows])


def problem(name: str, points: int, data: Path) -> Problem:
    architecture, mean, std = NETWORKS[name]
    path = data / "weights" / f"{name}.safetensors"
    classifier = load(ModelRef("checkpoint", str(path), architecture, mean, std)).classifier
    with np.load(data / "cifar10" / "test-0000-0999.npz") as arrays:
        images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float().contiguous() / 255
        labels = torch.from_numpy(arrays["labels"])
    with torch.no_grad():
        correct = torch.cat([classifier(part) for part in images.split(250)]).argmax(dim=1) == labels
    ids = correct.nonzero().flatten()[:points]
    return Problem(classifier, images[ids], labels[ids], ids)


def doubled(settings: Settings) -> Settings:
    """Return settings with every budget doubled."""
    return {key: value * 2 if key in BUDGETS else value for key, value in settings.items()}


def attack(name: str, settings: Settings, points: Problem, headline: int, seed: int) -> tuple[torch.Tensor, int, int]:
    """Run one attack; return which points are left at the headline, and the passes."""
    threat = ThreatModel.parse("L0", str(headline))
    if isinstance(grid := settings.get("grid"), tuple):
        settings = {**settings, "grid": tuple(k for k in grid if k <= headline)}
    if settings.get("grid") == ():
        return torch.arange(len(points.labels)), 0, 0
    left, forwards, backwards = torch.arange(len(points.labels)), 0, 0
    known = torch.full((len(left),), torch.inf)
    for turn in ATTACKS[name].rounds(settings, threat, 10):
        for rows in left.split(100):
            part = points.of(rows)
            passes = Passes(turn.passes.forwards * len(rows), turn.passes.backwards * len(rows))
            meter = Meter(part.classifier, passes)
            with torch.no_grad():
                logits = part.classifier(part.images)
            given = Points(part.images, part.labels, part.ids, logits, known[rows])
            found = ATTACKS[name].propose(meter, given, threat, settings, Draws(seed, name, turn.index))
            verdict = verify(part.classifier, part.images, found, part.labels, threat)
            known[rows] = torch.where(verdict.fooled, verdict.distances[Norm.L0], torch.inf).minimum(known[rows])
            forwards, backwards = forwards + meter.forwards, backwards + meter.backwards
        left = (known > headline).nonzero().flatten()
    return left, forwards, backwards


def cascade(points: Problem, rules: Protocol, headline: int, *, double: bool) -> tuple[Problem, list[str]]:
    """Run the cascade; return the points that are left and one cell of the table per attack."""
    cells = []
    for name in rules.threat(Norm.L0).attacks:
        settings = rules.attacks[name]
        before, start = len(points.labels), time.monotonic()
        if not before:
            cells.append("–")
            continue
        left, forwards, _ = attack(name, doubled(settings) if double else settings, points, headline, rules.seed)
        points = points.of(left)
        cells.append(f"{before - len(left)}")
        print(
            f"  {'doubled ' * double}{name}: {before} → {len(left)}, {forwards / before:.0f} forward passes a point, "
            f"{time.monotonic() - start:.0f} s",
            flush=True,
        )
    return points, cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", default="cifar10-v1", help="name, or path of a .toml file")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--headline", type=int, help="number of pixels; the protocol's epsilon if not given")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS)[:3])
    parser.add_argument("--write", action="store_true", help=f"write the table to {OUT.name}")
    given = parser.parse_args()
    data = Path(os.environ.get("BENCH_DATA_DIR") or ROOT.parent / "shared" / "data")
    rules = load_file(Path(given.protocol)) if given.protocol.endswith(".toml") else load_protocol(given.protocol)
    headline = given.headline or int(rules.threat(Norm.L0).epsilon)
    names = rules.threat(Norm.L0).attacks
    lines = [
        "# Has the sparse cascade converged?",
        "",
        f"`python tests/benchmarks/{Path(__file__).name} --points {given.points} --headline {headline}`",
        "",
        f"L0 cascade of {rules.name} at {headline} pixels on the first {given.points} correct test images. Columns:",
        "points broken by each attack in order, then points left; the second line of a network is the same cascade",
        "with every budget doubled, on the points that the first line left.",
        "",
        f"| network | budget | correct | {' | '.join(names)} | left | minutes |",
        f"|---|---|---{'|---' * len(names)}|---|---|",
    ]
    for name in given.networks:
        points = problem(name, given.points, data)
        print(f"{name}: {len(points.labels)} points", flush=True)
        for double in (False, True):
            start, before = time.monotonic(), len(points.labels)
            points, cells = cascade(points, rules, headline, double=double)
            minutes = (time.monotonic() - start) / 60
            lines.append(
                f"| {name} | {'doubled' if double else 'protocol'} | {before} | {' | '.join(cells)} | "
                f"{len(points.labels)} | {minutes:.1f} |"
            )
        if given.write:
            OUT.write_text("\n".join([*lines, *_notes(rules, names)]) + "\n", encoding="utf-8")
    print("\n".join([*lines, *_notes(rules, names)]))


def _notes(rules: Protocol, names: tuple[str, ...]) -> list[str]:
    """Return what a reader needs to repeat the table."""
    settings = [
        f"- {name}: {', '.join(f'{key} {value}' for key, value in rules.attacks[name].items())}" for name in names
    ]
    return ["", "Budgets:", "", *settings, "", f"torch {torch.__version__}, {platform.machine()}, CPU, 1 thread."]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

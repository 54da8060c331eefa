"""Which of many classes to aim at: those with the largest logits, or those that a gradient calls nearest.

    python tests/benchmarks/targets.py [--points 16] [--steps 20]

Targeted APGD aims at nine classes. With ten classes there is no choice; with a thousand, arXiv:2407.02240 ranks the
hundred classes with the largest logits by how far they are on a linear model, the difference of the logits over the
dual norm of its gradient, and aims at the nearest. Both lists are tried on the photographs of BENCH_DATA_DIR (default
../shared/data) that timm's tf_efficientnet_lite0 gets right, each from what APGD on cross-entropy leaves standing, at
small radii: nothing of a natural network is left at the usual ones. Prints Markdown.
"""

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # robustbench brings a package called tests, which hides ours
sys.path.insert(0, str(Path(__file__).parent))
import photographs  # noqa: E402

from bench.attacks.apgd import ascend  # noqa: E402
from bench.attacks.attack import Points  # noqa: E402
from bench.attacks.draws import Draws  # noqa: E402
from bench.attacks.losses import cross_entropy, runner_up, targeted_dlr  # noqa: E402
from bench.attacks.pixels import select  # noqa: E402
from bench.evaluation.environment import exact_arithmetic  # noqa: E402
from bench.evaluation.search.meter import clean_logits  # noqa: E402
from bench.tensors import Classifier  # noqa: E402
from bench.threats import Norm, ThreatModel  # noqa: E402

AIMS, LOOKED_AT, BATCH = 9, 100, 8
RADII = {Norm.LINF: ("1/2040", "1/1020", "1/510"), Norm.L2: ("1/16", "1/8", "1/4")}
DUAL = {Norm.LINF: 1.0, Norm.L2: 2.0}


class Nearest(NamedTuple):
    """Classes in the order of their linear distance, for each norm, and what it took to find them."""

    order: dict[Norm, Tensor]
    backwards: int
    seconds: float


def nearest(model: Classifier, points: Points) -> Nearest:
    """Rank the classes with the largest logits by how far they are where the network is taken to be linear."""
    began, order = time.perf_counter(), {norm: [] for norm in RADII}
    leaders = torch.stack([runner_up(points.logits, points.labels, rank) for rank in range(LOOKED_AT)], dim=1)
    for image, label, classes in zip(points.images, points.labels, leaders, strict=True):
        leaf = image[None].clone().requires_grad_()
        with torch.enable_grad():
            logits = model(leaf)[0]
            ahead = logits[label] - logits[classes]
            slopes = torch.stack([torch.autograd.grad(one, leaf, retain_graph=True)[0].flatten() for one in ahead])
        for norm, ranked in order.items():
            ranked.append(classes[(ahead.detach() / slopes.norm(p=DUAL[norm], dim=1)).argsort()])
    taken = time.perf_counter() - began
    return Nearest({norm: torch.stack(ranked) for norm, ranked in order.items()}, LOOKED_AT, taken / len(points))


def fallen(model: Classifier, points: Points, targets: Tensor | None, threat: ThreatModel, steps: int) -> Tensor:
    """Tell which points APGD breaks, towards one class each or, without targets, away from their own."""
    broken = []
    for part in torch.arange(len(points)).split(BATCH):
        some = select(points, part)
        if targets is None:
            draws = Draws(0, "apgd-ce", 0)
            found = ascend(model, some, some.labels, lambda z, y, _: cross_entropy(z, y), threat, steps, draws)
        else:
            found = ascend(model, some, targets[part], targeted_dlr, threat, steps, Draws(0, "apgd-t", 0))
        broken.append(clean_logits(model, found, BATCH).argmax(dim=1) != some.labels)
    return torch.cat(broken)


def aimed(model: Classifier, points: Points, lists: Tensor, threat: ThreatModel, steps: int) -> tuple[Tensor, int]:
    """Aim at each class of the lists in turn; return which points fall, and how many runs on a point that took."""
    broken, runs = torch.zeros(len(points), dtype=torch.bool), 0
    for targets in lists[:, :AIMS].T:
        left = (~broken).nonzero().flatten()
        runs += len(left)
        broken[left] = fallen(model, select(points, left), targets[left], threat, steps)
    return broken, runs


def first_right(home: Path, count: int) -> tuple[Classifier, Points]:
    """Load the network and the first photographs that it gets right."""
    cell, images, labels, logits = photographs.answered(home)
    rows = (logits.argmax(dim=1) == labels).nonzero().flatten()[:count]
    far = torch.full((len(rows),), torch.inf)
    return cell.pruned.network, Points(images[rows], labels[rows], rows, logits[rows], far)


def weigh(home: Path, count: int, steps: int) -> None:
    """Aim at the classes of both lists and print what falls."""
    network, points = first_right(home, count)
    near = nearest(network, points)
    leaders = torch.stack([runner_up(points.logits, points.labels, rank) for rank in range(LOOKED_AT)], dim=1)
    print(
        f"{len(points)} photographs, {steps} steps a target, {AIMS} targets; ranking by gradient takes {near.backwards}"
    )
    print(f"backward passes a photograph ({near.seconds:.1f} s).\n")
    print("| norm | radius | stand after APGD-CE | by logits: stand, runs | by gradient: stand, runs | both | shared |")
    print("|---|---|---|---|---|---|---|")
    for norm, radii in RADII.items():
        for radius in radii:
            threat = ThreatModel(norm, Fraction(radius))
            left = (~fallen(network, points, None, threat, steps)).nonzero().flatten()
            some = select(points, left)
            lists = {"logits": leaders[left], "gradient": near.order[norm][left]}
            done = {name: aimed(network, some, order, threat, steps) for name, order in lists.items()}
            stand = [f"{int((~broken).sum())}, {runs}" for broken, runs in done.values()]
            both = int((~(done["logits"][0] | done["gradient"][0])).sum())
            pairs = zip(*(order[:, :AIMS].tolist() for order in lists.values()), strict=True)
            shared = [len({*one} & {*other}) for one, other in pairs]
            mean = f"{sum(shared) / len(shared):.1f} of {AIMS}" if shared else "–"
            print(f"| {norm} | {radius} | {len(some)} | {stand[0]} | {stand[1]} | {both} | {mean} |", flush=True)


def main() -> None:
    """Read the command line, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home, exact_arithmetic():
        from support.efficientnet import place

        place(Path(home) / "models")
        weigh(Path(home), given.points, given.steps)


if __name__ == "__main__":
    main()

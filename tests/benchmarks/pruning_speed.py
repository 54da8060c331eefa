"""How long pruning takes, and how much faster a materialised child is attacked; prints one JSON document.

``python tests/benchmarks/pruning_speed.py [magnitude|saliency|attack ...]``, random weights and images, two threads
unless ``THREADS`` says otherwise; seconds of the processor stand beside those of the clock, for a
machine that is not idle. What came out stands in ``PRUNING.md``:

- magnitude: ``magnitude-global`` to 9/10 on timm's ResNet-50, alone and with measurement; the target is 5 s.
- saliency: ``snip-adv`` to 9/10 on CIFAR's ResNet-18 with 1,024 images and ten PGD steps; the target is 2 minutes on
  two cores.
- attack: forward and input gradient of a child with four times fewer MACs against its parent, as ``bench evaluate``
  times them: alternating runs after a warm-up, one thread; the target is 3 times faster.
"""

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.evaluation.conduct.latency import latency
from bench.evaluation.plan.layout import lay_out
from bench.models.architecture import ARCHITECTURES
from bench.models.source import architecture
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Context
from bench.threats import Norm, ThreatModel, exact

THREADS = int(os.environ.get("THREADS", "2"))


class Took(NamedTuple):
    """Seconds of the clock and of the processor."""

    clock: float
    processor: float


def timed(work: Callable[[], object]) -> Took:
    """Return the seconds that a piece of work takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - clock, time.process_time() - processor)


def medians(runs: Sequence[Took]) -> dict[str, float]:
    """Return the medians of several runs."""
    return {
        "seconds": round(statistics.median(run.clock for run in runs), 3),
        "cpu_seconds": round(statistics.median(run.processor for run in runs), 3),
    }


def magnitude() -> dict[str, Any]:
    """Prune ResNet-50 globally, three times after one that imports what it needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm

        network = timm.create_model("resnet50").eval()
    given, share = Context(torch.rand(2, 3, 224, 224)), Fraction(9, 10)
    prune(network, "magnitude-global", share, given)
    alone = [timed(lambda: RECIPES["magnitude-global"].decide(network, share, given)) for _ in range(3)]
    whole = [timed(lambda: prune(network, "magnitude-global", share, given)) for _ in range(3)]
    return {"recipe": medians(alone), "pruned and measured": medians(whole), "target": 5.0}


def saliency() -> dict[str, Any]:
    """Prune CIFAR's ResNet-18 by adversarial saliency once."""
    network = ARCHITECTURES["resnet18"].build().eval()
    images, labels = torch.rand(1024, 3, 32, 32), torch.randint(0, 10, (1024,))
    given = Context(images[:2], calibration=(images, labels), threat=ThreatModel(Norm.LINF, exact("8/255")))
    return medians([timed(lambda: prune(network, "snip-adv", Fraction(9, 10), given))]) | {"target": 120.0}


def attack() -> dict[str, Any]:
    """Race children with a quarter of the MACs against their parents, in turns."""
    wide = architecture("robustbench:cifar10/Linf/Carmon2019Unlabeled")
    races = {"ResNet-18": (ARCHITECTURES["resnet18"], 64), "WideResNet-28-10": (wide, 8)}
    return {name: _race(entry.build(), batch) for name, (entry, batch) in races.items()} | {"target": 3.0}


def _race(parent: nn.Module, batch: int) -> dict[str, Any]:
    parent.eval().requires_grad_(requires_grad=False)
    images = torch.rand(batch, 3, 32, 32)
    pruned = prune(parent, "l2-inner", Fraction(3, 4), Context(images[:2]))
    lay_out(pruned.network, pruned.measured, (3, 32, 32), images.device)
    found = latency(parent, pruned.network, images, batch)
    return {
        "seconds an image, parent": found.parent.both,
        "seconds an image, child": found.network.both,
        "times faster": round(found.times_faster, 2),
        "times fewer MACs": round(pruned.measured.parent_macs / pruned.measured.macs, 2),
    }


def main(names: list[str]) -> None:
    """Run the benchmarks named, or all."""
    torch.set_num_threads(THREADS)
    known = {"magnitude": magnitude, "saliency": saliency, "attack": attack}
    found = {name: known[name]() for name in names or known}
    versions = {"torch": torch.__version__, "threads": str(THREADS)}
    sys.stdout.write(json.dumps({"benchmarks": found, "environment": versions}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

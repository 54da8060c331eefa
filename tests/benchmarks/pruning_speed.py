"""How long pruning takes, and how much faster a materialised child is attacked; prints one JSON document.

``python tests/benchmarks/pruning_speed.py [magnitude|saliency|attack ...]``, random weights and images, two threads
unless ``THREADS`` says otherwise; seconds of the processor stand beside those of the clock, for a
machine that is not idle:

- magnitude: ``magnitude-global`` to 9/10 on timm's ResNet-50, measurement included; the target is 5 s.
- saliency: ``snip-adv`` to 9/10 on CIFAR's ResNet-18 with 1,024 images and ten PGD steps; the target is 2 minutes.
- attack: forward and input gradient of a child with four times fewer MACs against its parent, medians of alternating
  runs after a warm-up; the target is 3 times faster.
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

from bench.models.architecture import ARCHITECTURES
from bench.pruning.prune import prune
from bench.pruning.recipe import Context
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
    """Prune ResNet-50 globally, three times."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm

        network = timm.create_model("resnet50").eval()
    given = Context(torch.rand(2, 3, 224, 224))
    runs = [timed(lambda: prune(network, "magnitude-global", Fraction(9, 10), given)) for _ in range(3)]
    return medians(runs) | {"target": 5.0}


def saliency() -> dict[str, Any]:
    """Prune CIFAR's ResNet-18 by adversarial saliency once."""
    network = ARCHITECTURES["resnet18"].build().eval()
    images, labels = torch.rand(1024, 3, 32, 32), torch.randint(0, 10, (1024,))
    given = Context(images[:2], calibration=(images, labels), threat=ThreatModel(Norm.LINF, exact("8/255")))
    return medians([timed(lambda: prune(network, "snip-adv", Fraction(9, 10), given))]) | {"target": 120.0}


def attack() -> dict[str, Any]:
    """Race a child with a quarter of the MACs against its parent, in turns."""
    parent = ARCHITECTURES["resnet18"].build().eval().requires_grad_(requires_grad=False)
    images = torch.rand(64, 3, 32, 32)
    pruned = prune(parent, "l2-inner", Fraction(76, 100), Context(images[:2]))

    def pass_both_ways(network: nn.Module) -> None:
        point = images.clone().requires_grad_()
        torch.autograd.grad(network(point).logsumexp(dim=1).sum(), point)

    for network in (parent, pruned.network):
        pass_both_ways(network)
    pairs = [[timed(lambda net=net: pass_both_ways(net)) for net in (parent, pruned.network)] for _ in range(7)]
    slow, fast = (medians(column) for column in zip(*pairs, strict=True))
    return {
        "parent": slow,
        "child": fast,
        "times_faster": round(slow["seconds"] / fast["seconds"], 2),
        "times_less_cpu": round(slow["cpu_seconds"] / fast["cpu_seconds"], 2),
        "times_fewer_macs": round(pruned.measured.parent_macs / pruned.measured.macs, 2),
        "target": 3.0,
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

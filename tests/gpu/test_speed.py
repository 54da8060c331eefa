"""How fast: the engine against the reference package on a ResNet-18, and passes and memory of networks of all sizes."""

import time

import pytest
import torch

from bench.evaluation.conduct.pace import pace
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.search.batch import automatic_batch, footprint, room_on
from bench.models.source import LoadedModel, ModelRef
from bench.models.zoo.timm import blank
from bench.threats import ThreatModel
from tests.support.cascade import harness, package
from tests.support.material import STANDARD, Real, network, real

pytestmark = pytest.mark.gpu
LIMIT = 8 * 2**30
FASTER = 3.0
"""What is asked of an accelerator; a processor is held by `tests/benchmarks/bench_attacks.py`."""
MANY = 512
PHOTOGRAPHS = ("resnet50", "vit_base_patch16_224", "tf_efficientnet_lite0")
THREAT = ThreatModel.parse("Linf", "1/255")


def timed(work, device):
    """Return seconds, the most bytes held (none told of a processor) and what came out."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    found = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    held = f"{torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB" if device.type == "cuda" else "–"
    return time.perf_counter() - began, held, found


@pytest.mark.material
def test_the_engine_outruns_the_reference_package_on_a_resnet18(material, device, points, told):
    with exact_arithmetic():
        problem = Real(*(part.to(device) for part in real(material, "resnet18", points)))
        one = footprint(problem.model, problem.images[:1])
        batch = automatic_batch(one, device, room_on(device, None, problem.images.nbytes))
        harness(Real(problem.model, problem.images[:2], problem.labels[:2]), THREAT, {"apgd-ce": {"steps": 2}})
        seconds, held, ours = timed(lambda: harness(problem, THREAT, STANDARD, batch=batch), device)
        others, also, theirs = timed(lambda: package(problem, THREAT, batch=batch), device)
    apart = int((ours.standing != theirs).sum())
    told(
        f"| resnet18, {THREAT}, {points} points, batches of {batch} | {seconds:.1f} s, {held} | {others:.1f} s, {also} "
        f"| {others / seconds:.2f}× | {int(ours.standing.sum())} / {int(theirs.sum())}, {apart} apart |"
    )
    assert apart <= max(1, points // 100)
    if device.type != "cpu" and points >= MANY:
        assert others / seconds >= FASTER


@pytest.mark.material
@pytest.mark.parametrize("name", ["cnn_a_adv4", "resnet20_standard", "resnet18", *PHOTOGRAPHS])
def test_passes_and_memory(material, device, name, told):
    """Print what a pass takes in batches that eight gibibytes have room for."""
    with exact_arithmetic():
        if name in PHOTOGRAPHS:
            made = blank(name)
            model, shape, classes = made.build().eval().requires_grad_(requires_grad=False), made.shape, made.classes
        else:
            model, shape, classes = network(material, name), (3, 32, 32), 10
        images = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(device)
        ref = ModelRef.parse("embedded:digits-tiny-linf")  # a name; the network is the one that is given
        loaded = LoadedModel(ref, model, name, shape, classes, digest="")
        pace(loaded, images, None, LIMIT)  # the first pass finds its kernels
        _, held, found = timed(lambda: pace(loaded, images, None, LIMIT), device)
    both = found.forward + found.backward
    told(
        f"| {name} | {found.batch} | {1000 * found.forward:.3g} ms | {1000 * both:.3g} ms | {1 / both:,.0f} | {held} |"
    )
    assert found.forward > 0
    assert found.backward > 0

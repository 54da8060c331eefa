"""Large networks on photographs keep within the memory granted to them, and a batch that is too large is halved."""

import resource

import pytest
import torch

from bench.attacks.attack import ATTACKS
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.batch import automatic_batch, footprint, room_on
from bench.evaluation.search.cascade import Cascade, Target
from bench.evaluation.search.meter import clean_logits
from bench.models.zoo.timm import blank
from bench.threats import ThreatModel

pytestmark = pytest.mark.gpu
GIBIBYTE = 2**30
LIMIT = 8 * GIBIBYTE
SHORT = {
    "Linf 4/255": ("apgd-ce", {"steps": 2}),
    "L2 1/2": ("fab-t", {"steps": 1, "targets": 2}),
    "L0 50": ("sparse-pgd-u", {"iterations": 2, "grid": (50,)}),
}
NETWORKS = ["resnet50", "vit_base_patch16_224", "tf_efficientnet_lite0"]


def network(name, device):
    """Return a network of timm with drawn weights; what it needs does not hang on them."""
    return blank(name).build().eval().requires_grad_(requires_grad=False).to(device)


def used(device):
    """Return the most bytes that were held so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture
def bound(device):
    """Undo a limit of memory after a test."""
    yield
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("name", NETWORKS)
def test_eight_gibibytes_are_enough_for_photographs(device, points, name, told):
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with exact_arithmetic():
        model = network(name, device)
        count = min(points, 2 * 97)
        images = torch.rand(count, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(device)
        one = footprint(model, images[:1])
        batch = automatic_batch(one, device, room_on(device, LIMIT, images.nbytes))
        logits = clean_logits(model, images, min(batch, 32))
        labels, ids = logits.argmax(dim=1), torch.arange(count, device=device)
        target = Target(model, images, labels, ids, logits)
        for spelled, (attack, settings) in SHORT.items():
            threat = ThreatModel.parse(*spelled.split())
            cascade = Cascade(target, Pool(images, torch.ones_like(labels, dtype=torch.bool), [threat]), 0, batch)
            cascade.run(ATTACKS[attack], threat, settings)
            assert cascade.batch == batch, "it was not halved"
    told(f"| {name} | {one.kept / 1e6:.0f} MB an image | batches of {batch} | {used(device) / GIBIBYTE:.1f} GiB held |")
    assert used(device) < LIMIT


@pytest.mark.usefixtures("bound")
def test_a_batch_that_finds_no_room_is_halved(accelerator):
    torch.cuda.empty_cache()
    with exact_arithmetic():
        model = network("resnet50", accelerator)
        images = torch.rand(256, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(accelerator)
        logits = clean_logits(model, images, 32)
        labels, ids = logits.argmax(dim=1), torch.arange(len(images), device=accelerator)
        threat = ThreatModel.parse("Linf", "4/255")
        room_on(accelerator, torch.cuda.memory_reserved(accelerator) + 4 * GIBIBYTE, 0)  # binds PyTorch to it
        cascade = Cascade(
            Target(model, images, labels, ids, logits),
            Pool(images, torch.ones_like(labels, dtype=torch.bool), [threat]),
            0,
            256,
        )
        tally = cascade.run(ATTACKS["apgd-ce"], threat, {"steps": 1})
    assert cascade.batch < 256
    assert tally.attempted == 256

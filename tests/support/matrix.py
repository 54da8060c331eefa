"""What every architecture is held to: recipes, counts by hand, masks against smaller networks, attacks."""

import copy
from collections.abc import Iterable, Mapping
from fractions import Fraction

import torch
from torch import nn

from bench.errors import BenchError
from bench.models.source import LoadedModel
from bench.pruning.prune import Pruned, prune
from bench.pruning.recipe import RECIPES, Context, Structure, Training
from bench.threats import Norm, ThreatModel, exact
from tests.support.cascade import harness
from tests.support.material import Real

TINY = {
    Norm.LINF: {
        "apgd-ce": {"steps": 2},
        "apgd-t": {"steps": 2, "targets": 1},
        "fab-t": {"steps": 2, "targets": 1},
        "square": {"queries": 3, "p_init": 0.8},
        "fmn": {"steps": 2},
    },
    Norm.L0: {
        "sigma-zero": {"steps": 2, "grid": (2, 4), "eliminate": 1},
        "sparse-pgd-u": {"iterations": 2, "grid": (2, 4)},
        "sparse-pgd-p": {"iterations": 2, "grid": (2, 4)},
        "sparse-rs": {"queries": 3, "grid": (2, 4), "alpha_init": 0.3},
        "sparse-rs-ce": {"queries": 3, "grid": (4,), "alpha_init": 0.8},
    },
}
"""Every attack once, each with hardly any steps."""
TINY[Norm.L2] = TINY[Norm.LINF]
RADII = {Norm.LINF: "1/4", Norm.L2: "8", Norm.L0: "4"}
UNSTRUCTURED, CHANNEL = Fraction(1, 2), Fraction(1, 10)


def pictures(side: int, count: int = 2) -> torch.Tensor:
    """Return noise as images."""
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(1))


def given(images: torch.Tensor, classes: int) -> Context:
    """Return what recipes may look at: the images, labels, a ball and a training of one step."""
    labels = torch.randint(0, classes, (len(images),), generator=torch.Generator().manual_seed(2))
    threat = ThreatModel(Norm.LINF, exact("8/255"))
    return Context(images, calibration=(images, labels), threat=threat, training=Training(epochs=1, batch=2, steps=1))


def target_of(recipe: str, channel: Fraction = CHANNEL) -> Fraction | None:
    """Return a sparsity that goes with the recipe."""
    structure = RECIPES[recipe].structure
    if structure is Structure.CHANNEL:
        return channel
    return UNSTRUCTURED if structure is Structure.UNSTRUCTURED else None


def hold(
    loaded: LoadedModel,
    images: torch.Tensor,
    refused: Mapping[str, str],
    recipes: Iterable[str] = RECIPES,
    channel: Fraction = CHANNEL,
) -> None:
    """Run every recipe and every attack; what is refused must be what the short list says, for the reason it says."""
    found: dict[str, str] = {}
    for recipe in recipes:
        try:
            hold_recipe(loaded, recipe, images, channel)
        except BenchError as error:
            found[recipe] = f"{type(error).__name__}: {error}"
    assert found.keys() == refused.keys(), found
    assert not {recipe: says for recipe, says in found.items() if refused[recipe] not in says}
    hold_attacks(loaded.classifier, images)


def hold_recipe(loaded: LoadedModel, recipe: str, images: torch.Tensor, channel: Fraction = CHANNEL) -> None:
    """Prune, and hold what was measured against a count by hand; what was cut, against the parent with it unread."""
    parent = loaded.classifier
    pruned = prune(parent, recipe, target_of(recipe, channel), given(images, loaded.classes))
    total, zeros = by_hand(parent, pruned.network, images)
    measured = pruned.measured
    assert (measured.prunable, measured.zeros) == (total, zeros)
    assert 0 < measured.connected <= total - zeros
    assert pruned.network(images).isfinite().all()
    match RECIPES[recipe].structure:
        case Structure.UNSTRUCTURED:
            assert zeros == total // 2 + total % 2
        case Structure.CHANNEL:
            assert measured.removed
            assert measured.macs < measured.parent_macs
            assert unread(parent, pruned, images)


def by_hand(parent: nn.Module, child: nn.Module, images: torch.Tensor) -> tuple[int, int]:
    """Count the weights of the layers that run, and how many of them the child has not, or has as zeros."""
    ran: set[str] = set()
    hooks = [
        module.register_forward_pre_hook(lambda _, __, path=path: ran.add(path))
        for path, module in parent.named_modules()
    ]
    with torch.no_grad():
        parent(images[:1])
    for hook in hooks:
        hook.remove()
    left, total, nonzero = dict(child.named_parameters()), 0, 0
    seen: set[int] = set()
    for path, module in parent.named_modules():
        if path not in ran:
            continue
        names = ("weight",) if isinstance(module, nn.Conv2d | nn.Linear) else ()
        names = ("in_proj_weight",) if isinstance(module, nn.MultiheadAttention) else names
        for name in names:
            weight = getattr(module, name)
            if id(weight) not in seen:
                seen.add(id(weight))
                total += weight.numel()
                nonzero += int(left[f"{path}.{name}"].count_nonzero())
    return total, total - nonzero


def unread(parent: nn.Module, pruned: Pruned, images: torch.Tensor) -> bool:
    """Tell whether the smaller network computes what the parent does when nothing reads the channels that went."""
    masked, child = copy.deepcopy(parent).double(), copy.deepcopy(pruned.network).double()
    with torch.no_grad():
        for name, weight in masked.named_parameters():
            kept = pruned.plan.get(name, {}).get(1)
            if kept is not None:
                gone = torch.ones(weight.shape[1], dtype=torch.bool)
                gone[list(kept)] = False
                weight[:, gone] = 0.0
        whole, small = masked(images.double()), child(images.double())
    return bool(((whole - small).abs().max() <= 1e-6 * whole.abs().max()).item())


def hold_gradient(loaded: LoadedModel, images: torch.Tensor) -> None:
    """Ask for what every attack by gradients asks for."""
    asked = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loaded.classifier(asked).logsumexp(dim=1).sum(), asked)
    assert gradient.isfinite().all()
    assert gradient.count_nonzero()


def hold_attacks(network: nn.Module, images: torch.Tensor, settings: Mapping[Norm, Mapping] = TINY) -> None:
    """Attack the network's own answers under every norm; every attack that still finds a point standing asks it."""
    with torch.no_grad():
        labels = network(images).argmax(dim=1)
    for norm, attacks in settings.items():
        ran = harness(Real(network, images, labels), ThreatModel(norm, exact(RADII[norm])), attacks)
        assert [tally.attack for tally in ran.tallies] == list(attacks)
        assert all(tally.forwards > 0 for tally in ran.tallies if tally.attempted)
        assert ran.tallies[0].attempted == len(images)
        assert ran.standing.shape == (len(images),)

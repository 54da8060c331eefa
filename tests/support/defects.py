"""What must be caught: networks that deceive, claims that are false, attacks that fail."""

import copy
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import torch
from torch import nn

from bench.attacks.attack import Access, Attack, Kind, Passes, Round
from bench.evaluation.checks.check import Claim
from bench.evaluation.conduct.run import remake
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load as rules
from bench.threats import Norm, ThreatModel
from tests.support.carlini_wagner import CARLINI_WAGNER, SEED_SETTINGS
from tests.support.cheats import Hashed, Stored, Turned, TwoFaced, Wary, remembering, trained_on_the_points
from tests.support.machines import LowPrecision, half_way, other_draws, without
from tests.support.suspects import (
    HARNESS,
    L0,
    L2,
    LINF,
    PLAIN,
    QUERIED,
    SPARSE,
    Suspect,
    embedded,
    planned,
    quick,
    sides,
)

ONE = quick(LINF, "apgd-ce")
ROBUST, NATURAL, RESIDUAL = "digits-cnn-linf", "digits-cnn-natural", "digits-resnet-linf"


@dataclass(frozen=True)
class Defect:
    """A fixture: something is wrong, and these checks must say so."""

    says: str
    make: Callable[[], Suspect]
    must: frozenset[str]


class After(nn.Module):
    """A network whose logits are changed by a function."""

    def __init__(self, network, change):
        super().__init__()
        self.network, self.change = network, change
        self.eval()

    def forward(self, images):
        return self.change(self.network(images))


class Before(After):
    """A network whose images are changed by a function."""

    def forward(self, images):
        return self.network(self.change(images))


class Shaky(nn.Module):
    """Adds noise of its own generator to the images."""

    def __init__(self, network):
        super().__init__()
        self.network, self.generator = network, torch.Generator()
        self.eval()

    def forward(self, images):
        return self.network(images + 0.1 * torch.randn(images.shape, generator=self.generator))


class Between(nn.Module):
    """A sequential network with a module put after one of its layers."""

    def __init__(self, network, place, extra):
        super().__init__()
        layers = list(network.network)
        self.network = nn.Sequential(*layers[:place], extra, *layers[place:])
        self.eval()

    def forward(self, images):
        return self.network(images)


class Quantise(nn.Module):
    """Rounds activations to a few levels."""

    def __init__(self, levels):
        super().__init__()
        self.levels = levels

    def forward(self, values):
        return torch.round(values * self.levels) / self.levels


class Distracted(nn.Module):
    """Decides behind a hard threshold, and shows gradients of a faint path that decides nothing."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images):
        seen = (images > 0.5).float()
        return self.network(0.98 * seen + 0.01) + 1e-3 * self.network(1 - images)


class Searching(nn.Module):
    """Moves its input uphill before it answers."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images):
        with torch.enable_grad():
            leaf = images.detach().clone().requires_grad_()
            top = self.network(leaf).logsumexp(dim=1).sum()
            (gradient,) = torch.autograd.grad(top, leaf)
        return self.network((images + 0.01 * gradient.sign()).clamp(0, 1))


class Constant(nn.Module):
    """Answers 3, always."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.bias.copy_(5 * torch.eye(10)[3])
        self.requires_grad_(False).eval()

    def forward(self, images):
        return self.layer(images.flatten(1))


class MaskedLinear(nn.Linear):
    """Shows sparse weights and computes with others, kept in a buffer."""

    def forward(self, values):
        return nn.functional.linear(values, self.weight + self.rest, self.bias)


class Closed(nn.Module):
    """Shows a sparse layer and computes with another."""

    def __init__(self, shown, real):
        super().__init__()
        self.shown, self.real = shown, real

    def forward(self, values):
        return self.real(values) + self.shown.bias + 0 * self.shown(values)


def dropout_left_on():
    network = Between(embedded(ROBUST), 5, nn.Dropout(0.3))
    network.network[5].train()
    return Suspect(network, lines=ONE)


def batch_norm_in_training_mode():
    network = copy.deepcopy(embedded(RESIDUAL))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return Suspect(network, lines=ONE)


def pruned(share=Fraction(1, 2), claimed=None, *, parent=True, structure="unstructured", name=ROBUST):
    """Return an unstructured network at one sparsity, claimed to have another."""
    dense, network = embedded(name), copy.deepcopy(embedded(name))
    for weight in (tensor for tensor in network.parameters() if tensor.ndim > 1):
        drop = weight.abs().flatten().argsort(stable=True)[: int(share * weight.numel())]
        weight.data.flatten()[drop] = 0
    claim = Claim(structure, claimed or share, "embedded:" + name if parent else None, parent_is_measured=True)
    return Suspect(network, dense if parent else None, claim, lines=list(ONE))


def pruned_before():
    suspect = pruned()
    for weight, before in zip(suspect.network.parameters(), suspect.parent.parameters(), strict=True):
        before.data = torch.where(weight == 0, 1e-9 * before, before)
    return suspect


def hidden_behind_a_mask():
    suspect = pruned()
    layer = suspect.network.network[7]
    masked = MaskedLinear(layer.in_features, layer.out_features)
    masked.load_state_dict(layer.state_dict())
    masked.register_buffer("rest", suspect.parent.network[7].weight.detach() - layer.weight.detach())
    suspect.network.network[7] = masked.requires_grad_(False).eval()
    return suspect


def hidden_in_a_closure():
    suspect = pruned()
    layer, dense = suspect.network.network[7], suspect.parent.network[7].weight.detach().clone()
    suspect.network.network[7] = Closed(layer, lambda values: values @ dense.to(values.dtype).T)
    return suspect


def emptied_layer():
    suspect = pruned()
    suspect.network.network[2].weight.data.zero_()
    return suspect


def attack(name, propose, kind=Kind.FIXED_BUDGET):
    """Return an attack of one round."""
    turn = (Round(0, 0.1, Passes(40, 40)),)
    return Attack(name, propose, lambda *_: turn, frozenset(Norm), kind, Access.WHITE_BOX, {}, "none")


def _too_far(model, points, threat, settings, draws):
    with torch.enable_grad():
        leaf = points.images.clone().requires_grad_()
        loss = nn.functional.cross_entropy(model(leaf), points.labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
    return (points.images + 3 * float(threat.epsilon) * gradient.sign()).clamp(0, 1)


def _warns(model, points, threat, settings, draws):
    warnings.warn("the gradient is zero, results are unreliable", UserWarning, stacklevel=1)
    return points.images.clone()


def _raises(model, points, threat, settings, draws):
    raise ValueError("division by zero")


def _idle(model, points, threat, settings, draws):
    return points.images.clone()


def _rises(evidence):
    curve = dict(evidence.campaign.curves[Norm.LINF])
    curve[max(curve)] = evidence.correct
    return replace(evidence, campaign=replace(evidence.campaign, curves={Norm.LINF: curve}))


def _other_weights(evidence):
    other = Request(ModelRef.parse(f"embedded:{NATURAL}"), rules("digits-smoke-v1"))
    return replace(evidence, rebuild=partial(remake, plan(other)))


def seed_carlini_wagner():
    far = ThreatModel(Norm.L2, Fraction(4, 5))
    network = After(embedded("digits-resnet-natural"), lambda logits: logits.softmax(dim=1))
    return Suspect(network, lines=[*quick(LINF, "apgd-ce", "apgd-t"), (CARLINI_WAGNER, far, SEED_SETTINGS)])


def hasty():
    return Suspect(embedded(ROBUST), lines=[(PLAIN[0][0], ThreatModel(Norm.L2, Fraction(1)), {"steps": 1})])


def _made_again(evidence):
    same = Request(ModelRef.parse(f"embedded:{ROBUST}"), rules("digits-smoke-v1"))
    return replace(evidence, rebuild=partial(remake, plan(same)))


def defended(change: Callable[[nn.Module], nn.Module], name: str = ROBUST, lines=PLAIN) -> Callable[[], Suspect]:
    return lambda: Suspect(change(embedded(name)), lines=list(lines))


def failing(*attacks: Attack, threats=(LINF, L2), **changes) -> Callable[[], Suspect]:
    lines = [(one, threat, {}) for threat in threats for one in attacks]
    return lambda: Suspect(embedded(NATURAL), lines=lines, **changes)


def astray(steps=planned, around=nullcontext) -> Callable[[], Suspect]:
    """Return an honest network on a machine or under an engine that does not work as the rules were made."""
    return lambda: Suspect(embedded(ROBUST), lines=ONE, planned=steps(), around=around)


def quantised_child():
    suspect = pruned()
    suspect.network, suspect.lines = Between(suspect.network, 2, Quantise(2)), QUERIED
    return suspect


def _defect(says: str, make: Callable[[], Suspect], *must: str) -> Defect:
    return Defect(says, make, frozenset(must))


DEFECTS: Mapping[str, Defect] = {
    "softmax": _defect(
        "outputs are probabilities", defended(lambda net: After(net, lambda z: z.softmax(dim=1)), lines=ONE), "logits"
    ),
    "seed's C&W": _defect(
        "C&W with the seed's settings, behind a softmax", seed_carlini_wagner, "logits", "cross-norm", "single-step"
    ),
    "stochastic": _defect(
        "noise on the input",
        defended(Shaky, lines=ONE),
        "determinism",
        "batch-invariance",
        "continuity",
    ),
    "hard-wired dropout": _defect(
        "dropout that evaluation mode does not reach",
        defended(lambda net: After(net, lambda z: nn.functional.dropout(z, 0.3, training=True)), lines=ONE),
        "determinism",
        "batch-invariance",
    ),
    "dropout left on": _defect(
        "a dropout layer in training mode", dropout_left_on, "evaluation-mode", "determinism", "batch-invariance"
    ),
    "training batch norm": _defect(
        "batch norm in training mode", batch_norm_in_training_mode, "evaluation-mode", "batch-invariance"
    ),
    "large logits": _defect(
        "logits times 10,000", defended(lambda net: After(net, lambda z: 1e4 * z), NATURAL, ONE), "logits"
    ),
    "tiny logits": _defect(
        "logits over 10^30", defended(lambda net: After(net, lambda z: 1e-30 * z), NATURAL, ONE), "logits"
    ),
    "distant logits": _defect(
        "300,000 added to every logit", defended(lambda net: After(net, lambda z: z + 3e5), NATURAL, ONE), "logits"
    ),
    "noise beside an offset": _defect(
        "noise on logits to which 300,000 is added",
        defended(lambda net: After(net, lambda z: z + torch.randn_like(z) + 3e5), NATURAL, ONE),
        "determinism",
        "batch-invariance",
    ),
    "quantised": _defect(
        "activations rounded to halves",
        defended(lambda net: Between(net, 2, Quantise(2)), lines=QUERIED),
        "gradients",
        "zero-gradients",
        "bpda",
        "black-box",
    ),
    "quantised child": _defect(
        "the same on a pruned network, whose parent has slopes",
        quantised_child,
        "gradients",
        "zero-gradients",
        "hidden-capacity",
        "transfer",
        "black-box",
    ),
    "black and white": _defect(
        "images cut at a hard threshold first",
        defended(lambda net: Before(net, lambda x: (x > 0.5).float()), NATURAL),
        "gradients",
        HARNESS,
    ),
    "distracted": _defect(
        "a hard threshold beside a faint path with slopes",
        defended(Distracted, NATURAL, QUERIED),
        "bpda",
    ),
    "distracted, L0": _defect("the same under the sparse cascade alone", defended(Distracted, NATURAL, SPARSE), "bpda"),
    "false gradients": _defect(
        "gradients that point away from where they should", defended(Turned, NATURAL), "gradients"
    ),
    "two-faced": _defect(
        "other answers where gradients are asked for",
        defended(lambda net: TwoFaced(net, embedded(NATURAL), lambda _: torch.is_grad_enabled()), lines=ONE),
        "determinism",
    ),
    "crowd": _defect(
        "other answers in large batches",
        defended(lambda net: TwoFaced(net, embedded(NATURAL), lambda images: len(images) > 20), lines=ONE),
        "batch-invariance",
    ),
    "optimising": _defect("an optimisation loop in the forward pass", defended(Searching, lines=ONE), "gradient-calls"),
    "constant": _defect(
        "answers 3, always",
        lambda: Suspect(Constant(), lines=ONE),
        "collapse",
        "gradients",
        "zero-gradients",
        "layer-collapse",
        "structure",
        "unbounded",
    ),
    "NaN": _defect(
        "answers NaN", defended(lambda net: After(net, lambda z: z * torch.nan), lines=ONE), "logits", HARNESS
    ),
    "trained on the points": _defect(
        "trained on the points of the protocol and on nothing else",
        lambda: Suspect(trained_on_the_points(), lines=ONE),
        "held-out",
    ),
    "stored points": _defect(
        "holds the points of the protocol and answers with the nearest",
        lambda: Suspect(Stored(sides().inside), lines=ONE),
        "held-out",
    ),
    "hashed noise": _defect(
        "noise on the logits, seeded by a hash of the image", defended(Hashed, lines=ONE), "continuity"
    ),
    "wary": _defect("noise, drawn anew, on images that were perturbed", defended(Wary, lines=ONE), "continuity"),
    "false sparsity": _defect(
        "half of the weights are zero, 90 % claimed", lambda: pruned(claimed=Fraction(9, 10)), "sparsity"
    ),
    "sparse parent": _defect("the parent's weights are zero in all but name", pruned_before, "sparsity"),
    "mask buffer": _defect("a dense layer hidden in a buffer", hidden_behind_a_mask, "hidden-capacity"),
    "closure": _defect("a dense layer hidden in the code", hidden_in_a_closure, "hidden-capacity"),
    "false 2of4": _defect("2of4 claimed, unstructured zeros", lambda: pruned(structure="2of4"), "structure"),
    "masked channels": _defect("channels claimed, none removed", lambda: pruned(structure="channel"), "structure"),
    "emptied layer": _defect(
        "a layer without a weight", emptied_layer, "layer-collapse", "collapse", "gradients", "sparsity", "unbounded"
    ),
    "orphan": _defect("pruned, and no parent named", lambda: pruned(parent=False), "parent"),
    "out of ball": _defect("an attack that leaves its ball", failing(attack("too-far", _too_far)), "rejected"),
    "raising": _defect("an attack that raises", failing(attack("raises", _raises)), HARNESS),
    "idle": _defect(
        "an attack that returns the clean images", failing(attack("idle", _idle)), "single-step", "unbounded", "noise"
    ),
    "idle, L0": _defect(
        "the same under L0 alone", failing(attack("idle", _idle), threats=(L0,)), "single-step", "unbounded"
    ),
    "low precision": _defect("layers multiply ten bits, as tensor cores do", astray(around=LowPrecision), "anchor"),
    "other draws": _defect("random numbers from another stream", astray(around=other_draws), "anchor"),
    "wrong projection": _defect("projections end half way to the rim", astray(around=half_way), "anchor"),
    "lost attack": _defect("FAB finds nothing any more", astray(lambda: without("fab-t", Norm.L2)), "anchor"),
    "lost attack, L0": _defect(
        "Sparse-RS finds nothing any more", astray(lambda: without("sparse-rs", Norm.L0)), "anchor"
    ),
    "hasty": _defect("APGD with one step", hasty, "convergence"),
    "idle at first": _defect(
        "an attack that breaks nothing before one that breaks much",
        lambda: Suspect(embedded(NATURAL), lines=[(attack("idle", _idle), LINF, {}), PLAIN[1]]),
        "loss-gap",
    ),
    "warning": _defect("an attack whose library warns", failing(attack("warns", _warns)), "library-warnings"),
    "rising curve": _defect(
        "a curve that rises at the end", lambda: Suspect(embedded(ROBUST), lines=ONE, changes=_rises), "curves"
    ),
    "remembering": _defect(
        "other answers after sixty calls",
        lambda: Suspect(remembering(embedded(ROBUST)), lines=ONE, changes=_made_again),
        "replay",
    ),
    "irreproducible": _defect(
        "other weights when made again",
        lambda: Suspect(embedded(ROBUST), lines=ONE, changes=_other_weights),
        "replay",
    ),
}

"""Evaluation mode: no module trains, and a forward pass changes no tensor."""

import torch
from torch import nn

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt, spread
from bench.submission.schema import Flag, Level


@torch.no_grad()
def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look for modules in training mode, and compare every tensor before and after a pass."""
    training = [name or type(module).__name__ for name, module in evidence.network.named_modules() if module.training]
    before = {name: tensor.clone() for name, tensor in _tensors(evidence.network).items()}
    rows = spread(torch.arange(len(evidence.images), device=evidence.images.device), thresholds["points"])
    evidence.model(evidence.images[rows])
    after = _tensors(evidence.network)
    changed = [name for name, tensor in before.items() if name not in after or not _same(tensor, after[name])]
    if not training and not changed:
        return []
    told = [f"{len(training)} modules are in training mode ({training[0]})"] if training else []
    told += [f"a forward pass changes {len(changed)} tensors ({changed[0]})"] if changed else []
    says = f"The network is not in evaluation mode: {' and '.join(told)}. Call eval() and freeze its statistics."
    return [doubt("evaluation-mode", Level.WITHHOLD, float(len(training) + len(changed)), 0.0, says)]


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(
        torch.equal(one, other) or torch.allclose(one, other, 0, 0, equal_nan=True)
    )


CHECKS.register("evaluation-mode")(
    Check(
        name="evaluation-mode",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={"points": "images in the batch"},
        catches="dropout left on, batch norm that uses or updates batch statistics, networks that remember images",
        source="Carlini et al. 2019, arXiv:1902.06705",
    )
)

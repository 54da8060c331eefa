"""Runs the checks that need no attack, without an evaluation around them."""

from dataclasses import dataclass
from typing import Any

import torch

from bench.attacks.attack import Passes
from bench.errors import ContractError
from bench.evaluation import environment
from bench.evaluation.checks.check import Evidence, Examine, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.evaluation.checks.runner import chosen, collapsed
from bench.evaluation.conduct.evidence import before_attacks, spent
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import prepare
from bench.evaluation.search.cascade import Target
from bench.evaluation.search.meter import Meter
from bench.protocol.load import Protocol
from bench.submission.schema import Flag, Level
from bench.tensors import Images, Logits, portion

_BATCH = 250


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check said."""

    check: str
    stage: Stage
    flags: tuple[Flag, ...] | None
    """None where the check needs what only attacks bring."""

    @property
    def word(self) -> str:
        """The verdict in one word."""
        if self.flags is None:
            return "needs attacks"
        order = list(Level)
        worst = max((flag.level for flag in self.flags), key=order.index, default=None)
        if worst is Level.WITHHOLD and self.stage is Stage.ADMISSION:
            return "refused"
        return worst.value if worst else "ok"


@dataclass(frozen=True, slots=True)
class Findings:
    """What all checks said of one network."""

    name: str
    protocol: Protocol
    points: int
    findings: tuple[Finding, ...]
    passes: Passes

    @property
    def flags(self) -> list[Flag]:
        """Every flag, in the order of the checks."""
        return [flag for finding in self.findings for flag in finding.flags or ()]

    @property
    def withheld(self) -> bool:
        """No number of this network would be published."""
        return any(flag.level is Level.WITHHOLD for flag in self.flags)

    def document(self) -> dict[str, Any]:
        """Return everything as one JSON document."""
        return {
            "schema": "bench.checks/1",
            "model": self.name,
            "protocol": {"name": self.protocol.name, "digest": self.protocol.digest},
            "checks": [{"name": one.check, "stage": one.stage.value, "verdict": one.word} for one in self.findings],
            "flags": [flag.model_dump(mode="json") for flag in self.flags],
            "collapsed": collapsed(self.flags, self.points),
            "withheld": self.withheld,
            "cost": {"forwards": self.passes.forwards, "backwards": self.passes.backwards},
        }


def check_alone(plan: Plan) -> Findings:
    """Prepare the network of a plan and run every check that needs no attack."""
    device = environment.device(plan.request.device)
    with exact_arithmetic():
        cell = prepare(plan)
        network = cell.pruned.network.to(device)
        images = cell.points.images(device)
        meter = Meter(network, cell.loaded.classes)
        logits = _logits(meter, images)
        target = Target(network, images, cell.points.label_tensor(device), cell.points.id_tensor(device), logits)
        evidence = before_attacks(cell, target, None)
        findings = tuple(
            Finding(check.name, check.stage, _flags(check.name, check.examine, evidence, thresholds))
            if check.stage is not Stage.ATTACKS
            else Finding(check.name, check.stage, None)
            for check, thresholds in chosen(plan.protocol)
        )
    return Findings(plan.name, plan.protocol, len(cell.points), findings, Passes(meter.forwards, 0) + spent(evidence))


@torch.no_grad()
def _logits(meter: Meter, images: Images) -> Logits:
    """Return clean logits, NaN included: a check says what is wrong with them."""
    return torch.cat([meter(part) for part in images.split(portion(images, _BATCH))])


def _flags(name: str, examine: Examine, evidence: Evidence, thresholds: Thresholds) -> tuple[Flag, ...]:
    try:
        return tuple(examine(evidence, thresholds))
    except ContractError as error:
        return (doubt(name, Level.WITHHOLD, None, None, str(error)),)

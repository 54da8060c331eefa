"""Puts a network or an attack before every reliability check, quickly."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from bench.attacks.attack import ATTACKS, Attack, Settings
from bench.data.dataset import DATASETS
from bench.errors import ContractError
from bench.evaluation.checks.check import Campaign, Claim, Evidence, Sides, Stage, Turn
from bench.evaluation.checks.listening import listening
from bench.evaluation.checks.runner import doubts
from bench.evaluation.judge.pool import Pool
from bench.evaluation.judge.verify import verify
from bench.evaluation.plan.plan import Plan, Request, plan
from bench.evaluation.search.cascade import Cascade, Target
from bench.evaluation.search.meter import Meter
from bench.evaluation.search.step import Step
from bench.models.source import ModelRef, load
from bench.protocol.load import Protocol
from bench.protocol.load import load as rules
from bench.pruning.measure import measure
from bench.submission.schema import Flag, Level
from bench.threats import Norm, ThreatModel

POINTS = 30
LINF, L2, L0 = ThreatModel.parse("Linf", "1/10"), ThreatModel.parse("L2", "1/2"), ThreatModel.parse("L0", "2")
Line = tuple[Attack, ThreatModel, Settings]
HARNESS = "no-number"
"""Stands for an error of the harness: such a run yields no number at all, so no flag is needed."""


def quick(threat: ThreatModel, *names: str) -> list[Line]:
    """Return attacks with small budgets."""
    settings: dict[str, Settings] = {
        "apgd-ce": {"steps": 30},
        "apgd-t": {"steps": 20, "targets": 9},
        "square": {"queries": 200, "p_init": 0.8},
        "corners": {"queries": 8256},
        "sigma-zero": {"steps": 60, "grid": (1, 2, 3), "eliminate": 1},
        "sparse-pgd-u": {"iterations": 30, "grid": (2, 3)},
        "sparse-rs": {"queries": 200, "grid": (2, 3), "alpha_init": 0.3},
    }
    return [(ATTACKS[name], threat, settings[name]) for name in names]


PLAIN = [*quick(LINF, "apgd-ce", "apgd-t"), *quick(L2, "apgd-ce", "apgd-t")]
QUERIED = [*quick(LINF, "apgd-ce", "apgd-t", "square"), *quick(L2, "apgd-ce", "apgd-t")]
SPARSE = quick(L0, "sigma-zero", "sparse-pgd-u")


def embedded(name: str) -> nn.Module:
    """Return a network that ships with the benchmark."""
    return load(ModelRef.parse(f"embedded:{name}")).classifier


@dataclass
class Suspect:
    """A network with what is claimed of it, and the attacks it meets.

    Attributes:
        parent: dense network; its own witnesses are replayed on the suspect.
        changes: applied to the evidence before the checks see it, for what a healthy harness cannot produce.
        planned: attacks that the anchor meets.
        around: what is wrong with the machine or the engine while everything runs.
    """

    network: nn.Module
    parent: nn.Module | None = None
    claim: Claim = field(default_factory=Claim)
    lines: list[Line] = field(default_factory=lambda: list(PLAIN))
    changes: Callable[[Evidence], Evidence] = lambda evidence: evidence
    planned: tuple[Step, ...] = ()
    around: Callable[[], AbstractContextManager[object]] = nullcontext


def planned(settled: Plan | None = None) -> tuple[Step, ...]:
    """Return the attacks of the rules, as an evaluation plans them."""
    settled = settled or plan(Request(ModelRef.parse("embedded:digits-tiny-linf"), protocol()))
    return settled.steps


def protocol() -> Protocol:
    """Return the rules whose bars are used."""
    return rules("digits-v1")


def interrogate(suspect: Suspect, seed: int = 0) -> list[Flag]:
    """Run every check, those after admission too where the model would have been refused."""
    with suspect.around():
        evidence = evidence_of(suspect, seed)
        found = list(doubts(protocol(), evidence, [Stage.ADMISSION, Stage.PRUNING]))
        try:
            evidence = suspect.changes(attacked(suspect, evidence))
            with listening():
                return [*found, *doubts(protocol(), evidence, [Stage.ATTACKS])]
        except ContractError as error:
            refused = Flag(check=HARNESS, level=Level.WITHHOLD, figure=None, threshold=None, says=str(error))
            return [*found, refused]


def evidence_of(suspect: Suspect, seed: int = 0) -> Evidence:
    """Return what is known before the attacks."""
    points = DATASETS["digits"].load("test", range(POINTS))
    images, network, parent = points.images(), suspect.network, suspect.parent
    with torch.no_grad():
        logits = network(images)
    try:
        measured = measure(parent, network, images[:8])
    except Exception:  # noqa: BLE001 - a defect may be one that cannot be measured
        measured = None
    return Evidence(
        network, Meter(network, logits.shape[1]), images, points.label_tensor(), points.id_tensor(), logits, seed + 77,
        parent, Meter(parent, logits.shape[1]) if parent else None, suspect.claim, measured, planned=suspect.planned,
        held_out=sides,
    )  # fmt: skip


def sides() -> Sides:
    """Return the points of the rules and those that they hold out."""
    digits, rule = DATASETS["digits"], protocol().held_out
    assert rule is not None
    return Sides(digits.load("test", range(500)), digits.load(rule.split, range(rule.points)))


def attacked(suspect: Suspect, evidence: Evidence) -> Evidence:
    """Run the attacks, then replay the parent's witnesses."""
    pool, tallies, heard = _cascades(evidence.network, evidence, suspect.lines)
    threats = list(dict.fromkeys(threat for _, threat, _ in suspect.lines))
    turns = tuple(
        Turn(attack, threat, settings, tally, int(pool.broken[threat.norm][attack.name].sum())
             if attack.name in pool.broken[threat.norm] else 0)
        for (attack, threat, settings), tally in zip(suspect.lines, tallies, strict=True)
    )  # fmt: skip
    lent = {threat.norm: pool.lent(threat) for threat in threats}
    before = {threat.norm: int(pool.standing(threat.norm, float(threat.epsilon)).sum()) for threat in threats}
    if suspect.parent is not None:
        _replay_parent(suspect, evidence, pool, threats)
    transferred = {
        threat.norm: before[threat.norm] - int(pool.standing(threat.norm, float(threat.epsilon)).sum())
        for threat in threats
    }
    grid = {curve.norm: curve.epsilons for curve in protocol().curves}
    curves = {
        threat.norm: dict(
            zip(grid[threat.norm], pool.counts(threat.norm, [float(e) for e in grid[threat.norm]]), strict=True)
        )
        for threat in threats
    }
    return replace(evidence, campaign=Campaign(pool, turns, lent, transferred, curves), heard=heard)


def _cascades(network: nn.Module, evidence: Evidence, lines: list[Line]):
    threats = list(dict.fromkeys(threat for _, threat, _ in lines))
    with torch.no_grad():
        logits = network(evidence.images)
    pool = Pool(evidence.images, logits.argmax(dim=1) == evidence.labels, threats)
    target = Target(network, evidence.images, evidence.labels, evidence.ids, logits)
    cascade = Cascade(target, pool, 0, POINTS)
    with listening() as heard:
        tallies = [cascade.run(attack, threat, settings) for attack, threat, settings in lines]
    return pool, tallies, tuple(heard)


def _replay_parent(suspect: Suspect, evidence: Evidence, pool: Pool, threats: list[ThreatModel]) -> None:
    theirs, _, _ = _cascades(suspect.parent, evidence, suspect.lines)
    for norm in Norm:
        rows = (theirs.witnessed(norm) & pool.correct).nonzero().flatten()
        candidates = theirs.witnesses(norm, rows)
        verdict = verify(suspect.network, evidence.images[rows], candidates, evidence.labels[rows], threats[0])
        pool.absorb(rows, candidates, verdict)


def caught(flags: list[Flag]) -> dict[str, Level]:
    """Return the gravest level per check."""
    order = list(Level)
    worst: dict[str, Level] = {}
    for flag in flags:
        worst[flag.check] = max(worst.get(flag.check, Level.INFORM), flag.level, key=order.index)
    return worst

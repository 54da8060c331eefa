"""Anchor: a network of known answers falls here as it fell when the rules were frozen."""

import copy
from collections.abc import Sequence
from fractions import Fraction

import torch

from bench.attacks.attack import Passes, Settings
from bench.attacks.draws import Draws
from bench.data.dataset import DATASETS
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.evaluation.checks.probe import at_radius
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.cascade import Cascade, Target
from bench.evaluation.search.meter import clean_logits
from bench.evaluation.search.step import Step
from bench.models.source import ModelRef, load
from bench.submission.schema import Flag, Level
from bench.tensors import Classifier
from bench.threats import ThreatModel

ANCHOR = ModelRef.parse("embedded:digits-tiny-linf")
"""Ships with the benchmark, weights pinned by their digest, so no protocol has to fetch anything."""

_LANES = 64
_LIMITS = {"steps": "steps", "iterations": "steps", "queries": "queries", "targets": "targets"}
"""Settings of attacks that are cut short, and the threshold that says to what."""


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Attack the anchor with every planned attack, cut short, and hold what stands against the frozen counts.

    Each attack meets all points, for a cascade would hide that a later attack is broken. Arithmetic and draws are
    looked at on their own too, since counts hardly show a small change of either.
    """
    device = evidence.images.device
    network = load(ANCHOR).classifier.to(device)
    points = DATASETS["digits"].load("test", range(int(thresholds["points"])))
    images, batch = points.images(device), len(points)
    logits = clean_logits(network, images, batch)
    target = Target(network, images, points.label_tensor(device), points.id_tensor(device), logits)
    exact = clean_logits(_exact(network), images.cpu().double(), batch)
    found = _arithmetic(float((logits.cpu() - exact).abs().max() / exact.abs().max()), thresholds)
    found += _draws(target, thresholds)
    for norm in dict.fromkeys(step.threat.norm for step in evidence.planned):
        cascade = [step for step in evidence.planned if step.threat.norm is norm]
        threat = ThreatModel(norm, Fraction(str(thresholds[norm.lower()])))
        standing, passes = _attacked(target, cascade, threat, thresholds)
        evidence.model.forwards += passes.forwards
        evidence.model.backwards += passes.backwards
        found += _counted(threat, len(cascade), standing, thresholds)
    evidence.model.forwards += 2 * batch
    return found


def _exact(network: torch.nn.Module) -> Classifier:
    """Return the network in float64 on the CPU, where no setting lowers the precision of its kernels."""
    return copy.deepcopy(network).cpu().double()


def _arithmetic(error: float, thresholds: Thresholds) -> list[Flag]:
    if error <= thresholds["precision"]:
        return []
    says = (
        f"The logits of {ANCHOR} are off by {error:.1e} of the largest one, and float32 would be off by less than "
        f"{thresholds['precision']:g}; this machine computes in a lower precision."
    )
    return [doubt("anchor", Level.WITHHOLD, error, thresholds["precision"], says)]


def _draws(target: Target, thresholds: Thresholds) -> list[Flag]:
    numbers = Draws(int(thresholds["seed"]), "anchor", 0).uniform(target.ids, 0, _LANES)
    mean = float(numbers.double().mean())
    if abs(mean - thresholds["draws"]) <= 1e-9:
        return []
    says = (
        f"The random numbers of the anchor average {mean:.9f} where the protocol has {thresholds['draws']:.9f}; "
        "attacks would start elsewhere than under these rules."
    )
    return [doubt("anchor", Level.WITHHOLD, mean, thresholds["draws"], says)]


def _attacked(
    target: Target, cascade: Sequence[Step], threat: ThreatModel, thresholds: Thresholds
) -> tuple[int, Passes]:
    """Return how many points of the anchor stand, summed over attacks that each meet all of them, and the cost."""
    left, spent = 0, Passes(0, 0)
    for step in cascade:
        pool = Pool(target.images, target.logits.argmax(dim=1) == target.labels, [threat])
        driver = Cascade(target, pool, int(thresholds["seed"]), len(target.labels))
        tally = driver.run(step.attack, threat, _shorter(step.settings, threat, thresholds))
        left += int(pool.standing(threat.norm, float(threat.epsilon)).sum())
        spent += Passes(tally.forwards, tally.backwards)
    return left, spent


def _shorter(settings: Settings, threat: ThreatModel, thresholds: Thresholds) -> Settings:
    changed = dict(settings)
    for key, limit in _LIMITS.items():
        value = settings.get(key)
        if isinstance(value, int):
            changed[key] = min(value, int(thresholds[limit]))
    return at_radius(changed, threat)


def _counted(threat: ThreatModel, attacks: int, standing: int, thresholds: Thresholds) -> list[Flag]:
    expected, most = int(thresholds[f"standing_{threat.norm.lower()}"]), thresholds["tolerance"]
    apart = float(abs(standing - expected))
    if apart <= most:
        return []
    says = (
        f"{threat}: {attacks} shortened attacks leave {standing} points of {ANCHOR} standing in all, where these rules "
        f"count {expected}; the attacks, the judge or this machine do not work as when the rules were made."
    )
    return [doubt("anchor", Level.WITHHOLD, apart, most, says)]


CHECKS.register("anchor")(
    Check(
        name="anchor",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={
            "points": "of the anchor, from the first test image of the digits on",
            "seed": "of its draws, whatever the run's",
            "steps": "most gradient steps of an attack, per target class or number of pixels",
            "queries": "most queries of an attack",
            "targets": "most target classes of an attack",
            "linf": "radius under Linf",
            "l2": "radius under L2",
            "l0": "radius under L0",
            "standing_linf": "points that stand under Linf, summed over the attacks, each of which meets all points",
            "standing_l2": "the same under L2",
            "standing_l0": "the same under L0",
            "tolerance": "points by which each sum may differ, for the rounding of another machine",
            "draws": "mean of the anchor's draws, the same everywhere",
            "precision": "largest error of a logit against float64, as a share of the largest logit",
        },
        catches="low precision, other draws, a broken or altered engine: machines whose numbers would not compare",
        source="this benchmark",
    )
)

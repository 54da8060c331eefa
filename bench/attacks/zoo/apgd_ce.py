"""APGD-CE: Auto-PGD on the cross-entropy, the first attack of AutoAttack."""

from bench.attacks.apgd import ascend, passes
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.losses import cross_entropy
from bench.attacks.pixels import whole
from bench.tensors import Classifier, Images
from bench.threats import Norm, ThreatModel


def propose(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Ascend the cross-entropy of the true class from one random start."""
    return ascend(
        model,
        points,
        points.labels,
        lambda logits, labels, _: cross_entropy(logits, labels),
        threat,
        whole(settings, "steps"),
        draws,
    )


def rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    """Make one round."""
    del classes
    return (Round(0, float(threat.epsilon), passes(whole(settings, "steps"))),)


ATTACKS.register("apgd-ce")(
    Attack(
        name="apgd-ce",
        propose=propose,
        rounds=rounds,
        norms=frozenset({Norm.LINF, Norm.L2}),
        kind=Kind.FIXED_BUDGET,
        access=Access.WHITE_BOX,
        settings={"steps": "gradient steps"},
        source="Croce & Hein 2020, arXiv:2003.01690",
    )
)

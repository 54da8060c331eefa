"""APGD-PM: Auto-PGD on the probability margin, the strongest single attack for its passes."""

from bench.attacks.apgd import ascend, passes
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.losses import probability_margin
from bench.attacks.pixels import whole
from bench.tensors import Classifier, Images
from bench.threats import Norm, ThreatModel


def propose(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Ascend the probability margin from one random start."""
    return ascend(
        model,
        points,
        points.labels,
        lambda logits, labels, _: probability_margin(logits, labels),
        threat,
        whole(settings, "steps"),
        draws,
    )


def rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    """Make one round."""
    del classes
    return (Round(0, float(threat.epsilon), passes(whole(settings, "steps"))),)


ATTACKS.register("apgd-pm")(
    Attack(
        name="apgd-pm",
        propose=propose,
        rounds=rounds,
        norms=frozenset({Norm.LINF, Norm.L2}),
        kind=Kind.FIXED_BUDGET,
        access=Access.WHITE_BOX,
        settings={"steps": "gradient steps"},
        source="Xie et al. 2024, arXiv:2411.15210, with the steps of arXiv:2003.01690",
    )
)

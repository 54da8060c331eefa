"""APGD-T: Auto-PGD on the targeted DLR loss, one target class after another."""

from bench.attacks.apgd import ascend, passes
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.losses import runner_up, targeted_dlr
from bench.attacks.pixels import whole
from bench.tensors import Classifier, Images
from bench.threats import Norm, ThreatModel


def propose(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Aim at the class that comes ``draws.round`` places behind the runner-up on the clean image.

    Any misclassification counts, not only that of the target.
    """
    targets = runner_up(points.logits, points.labels, draws.round)
    return ascend(model, points, targets, targeted_dlr, threat, whole(settings, "steps"), draws)


def rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    """Make one round per target class, fewer when there are fewer other classes."""
    targets = min(whole(settings, "targets"), classes - 1)
    cost = passes(whole(settings, "steps"))
    return tuple(Round(index, float(threat.epsilon), cost) for index in range(targets))


ATTACKS.register("apgd-t")(
    Attack(
        name="apgd-t",
        propose=propose,
        rounds=rounds,
        norms=frozenset({Norm.LINF, Norm.L2}),
        kind=Kind.FIXED_BUDGET,
        access=Access.WHITE_BOX,
        settings={"steps": "gradient steps per target class", "targets": "most target classes to try"},
        source="Croce & Hein 2020, arXiv:2003.01690",
        alike=True,
    )
)

"""Random noise: what needs no attack at all must not break what withstood the attacks."""

import torch

from bench.attacks.draws import Draws
from bench.attacks.projections import Ball, direction, safe_radius
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, concluding, graded, spread
from bench.evaluation.checks.probe import keep, standing
from bench.submission.schema import Flag
from bench.tensors import Ids, Images
from bench.threats import Norm, ThreatModel


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Try random perturbations of the full radius on points that still stand."""
    found: list[Flag] = []
    for threat in evidence.campaign.threats if evidence.campaign else ():
        rows = spread(standing(evidence, threat), thresholds["points"])
        if not len(rows):
            continue
        broken = torch.zeros_like(rows, dtype=torch.bool)
        for turn in range(int(thresholds["draws"])):
            draws = Draws(evidence.seed, f"noise {threat.norm}", turn)
            broken |= keep(evidence, rows, _noisy(evidence.images[rows], evidence.ids[rows], threat, draws), threat)
        says = concluding(
            len(evidence.labels),
            f"{threat}: random noise breaks {int(broken.sum())} of {len(rows)} points that withstood every attack",
            "the attacks did not search where they should",
        )
        found += graded("noise", float(broken.float().mean()), thresholds, says)
    return found


def _noisy(images: Images, ids: Ids, threat: ThreatModel, draws: Draws) -> Images:
    numbers = images[0].numel()
    if threat.norm is Norm.L0:
        places = images.shape[2] * images.shape[3]
        chosen = draws.permutation(ids, 0, places) < int(threat.epsilon)
        colours = (draws.signs(ids, 1, numbers).view(images.shape) + 1) / 2
        return torch.where(chosen.view(len(images), 1, *images.shape[2:]), colours, images)
    radius = safe_radius(threat)
    if threat.norm is Norm.LINF:
        step = radius * draws.signs(ids, 0, numbers).view(images.shape)
    else:
        step = radius * direction(draws.normal(ids, 0, numbers).view(images.shape), threat.norm)
    return Ball(images, threat.norm, radius).project(images + step)


CHECKS.register("noise")(
    Check(
        name="noise",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={"points": "standing points tried per threat model", "draws": "perturbations per point", **GRADED},
        catches="attacks that find nothing where anything would do",
        source="Carlini et al. 2019, arXiv:1902.06705",
    )
)

"""Collapse: the network still classifies, and pruning has not reduced it to guessing."""

import math

import torch

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import FEW, doubt
from bench.evaluation.search.meter import clean_logits
from bench.submission.schema import Flag, Level
from bench.tensors import portion

_BATCH = 250


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Hold the clean accuracy against guessing, against one answer for all, and against the dense parent's.

    A constant classifier is never fooled, so its "robust accuracy" equals its clean accuracy at every radius; such a
    network is named collapsed and never ranked, unless the points are too few to say so. The first bar is the accuracy
    of guessing plus a number of binomial standard errors.
    """
    points, correct, chance = len(evidence.labels), evidence.correct, 1 / evidence.classes
    bar = chance + thresholds["sigmas"] * math.sqrt(chance * (1 - chance) / points)
    accuracy = correct / points
    if accuracy <= bar:
        says = _named(
            points,
            f"{correct} of {points} points are classified correctly, which guessing among {evidence.classes} classes "
            "reaches too",
            "whatever it survives is no robustness",
        )
        return [doubt("collapse", Level.WITHHOLD, accuracy, bar, says)]
    answers = torch.bincount(evidence.logits.argmax(dim=1), minlength=evidence.classes)
    labels = torch.bincount(evidence.labels, minlength=evidence.classes)
    surplus = float((answers - labels).amax()) / points
    if surplus > thresholds["one_answer"]:
        says = _named(
            points,
            f"{int(answers.amax())} of {points} points get the same answer, class {int(answers.argmax())}",
            "what never changes cannot be fooled",
        )
        return [doubt("collapse", Level.WITHHOLD, surplus, thresholds["one_answer"], says)]
    return _against_parent(evidence, accuracy, thresholds["of_parent"])


def _against_parent(evidence: Evidence, accuracy: float, share: float) -> list[Flag]:
    if evidence.parent_model is None:
        return []
    logits = clean_logits(evidence.parent_model, evidence.images, portion(evidence.images, _BATCH))
    parent = float((logits.argmax(dim=1) == evidence.labels).float().mean())
    if accuracy >= share * parent:
        return []
    says = _named(
        len(evidence.labels),
        f"of the dense parent's clean accuracy, {100 * parent:.1f} %, {100 * accuracy:.1f} % are left",
        "a network that misclassifies that much has little left to attack",
    )
    return [doubt("collapse", Level.WITHHOLD, accuracy, share * parent, says)]


def _named(points: int, seen: str, meaning: str) -> str:
    if points >= FEW:
        return f"Collapsed: {seen}; {meaning}."
    return f"{seen[0].upper()}{seen[1:]}; {points} points are too few to tell whether the network has collapsed."


CHECKS.register("collapse")(
    Check(
        name="collapse",
        stage=Stage.PRUNING,
        examine=examine,
        thresholds={
            "sigmas": "standard errors above guessing that a living network must reach",
            "one_answer": "most that the share of one answer may exceed the share of its class",
            "of_parent": "least share of the parent's clean accuracy",
        },
        catches="constant classifiers, and networks that pruning has reduced to guessing",
        source="Merkle, Samsinger & Schöttle 2021, arXiv:2108.08560: 173 of 1,385 published runs are dead",
    )
)

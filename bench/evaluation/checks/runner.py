"""Runs the checks that a protocol names, and refuses a model that may not be attacked at all."""

from collections.abc import Iterable, Iterator

from bench.errors import ContractError, ProtocolError
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import FEW
from bench.evaluation.checks.listening import listening
from bench.protocol.load import Protocol
from bench.submission.schema import Flag, Level

COLLAPSE = "collapse"
"""The check whose doubt is a status: such a network is named collapsed and never ranked."""

FORESEEN = (COLLAPSE, "held-out")
"""The checks of the network alone whose doubts are told before hours of attack."""


def chosen(protocol: Protocol, stages: Iterable[Stage] = tuple(Stage)) -> tuple[tuple[Check, Thresholds], ...]:
    """Return the checks a protocol names, by stage and name, with its thresholds.

    Raises:
        ProtocolError: if it names a check that does not exist, or lacks a threshold, or gives one too many.
    """
    unknown = sorted(set(protocol.checks) - set(CHECKS))
    if unknown:
        raise ProtocolError(
            f"{protocol.origin.at('checks', unknown[0])} is no check; see `bench list checks` ({', '.join(CHECKS)})."
        )
    pairs = [(CHECKS[name], protocol.checks[name]) for name in protocol.checks]
    for check, thresholds in pairs:
        missing = sorted(set(check.thresholds) - set(thresholds))
        surplus = sorted(set(thresholds) - set(check.thresholds))
        if missing or surplus:
            raise ProtocolError(
                f"{protocol.origin.at('checks', check.name)}: takes {', '.join(check.thresholds) or 'no threshold'}; "
                f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(surplus) or 'none'}."
            )
    order = list(Stage)
    wanted = [pair for pair in pairs if pair[0].stage in set(stages)]
    return tuple(sorted(wanted, key=lambda pair: (order.index(pair[0].stage), pair[0].name)))


def doubts(protocol: Protocol, evidence: Evidence, stages: Iterable[Stage]) -> Iterator[Flag]:
    """Run the checks of some stages and yield every flag."""
    for check, thresholds in chosen(protocol, stages):
        yield from check.examine(evidence, thresholds)


def admit(protocol: Protocol, evidence: Evidence) -> list[Flag]:
    """Run the checks that come before any attack, and return the doubts that do not forbid attacking.

    Raises:
        ContractError: with the sentence of the first check that refuses the model.
    """
    found = list(doubts(protocol, evidence, [Stage.ADMISSION]))
    for flag in found:
        if flag.level is Level.WITHHOLD:
            raise ContractError(f"refused by the check {flag.check}: {flag.says}")
    return found


def foresee(protocol: Protocol, evidence: Evidence) -> list[Flag]:
    """Tell before hours of attack whether a network only guesses, or knows its points: that shows already."""
    return [
        flag
        for check, thresholds in chosen(protocol, [Stage.PRUNING])
        if check.name in FORESEEN
        for flag in check.examine(evidence, thresholds)
    ]


def review(protocol: Protocol, evidence: Evidence, foreseen: Iterable[Flag] | None = None) -> list[Flag]:
    """Run the checks that come after the attacks; without a campaign, those of the network alone.

    What was foreseen before the attacks is taken over, and not looked for twice.
    """
    stages = [Stage.PRUNING] if evidence.campaign is None else [Stage.PRUNING, Stage.ATTACKS]
    known = None if foreseen is None else list(foreseen)
    found: list[Flag] = []
    with listening():  # checks make the attacks again, and libraries would warn a second time
        for check, thresholds in chosen(protocol, stages):
            if known is not None and check.name in FORESEEN:
                found += [flag for flag in known if flag.check == check.name]
            else:
                found += check.examine(evidence, thresholds)
    return found


def collapsed(flags: Iterable[Flag], points: int) -> bool:
    """Tell whether a network is named collapsed, which nobody can say of a run on few points."""
    return points >= FEW and any(flag.check == COLLAPSE for flag in flags)

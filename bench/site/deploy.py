"""Which entry to deploy: answers for usual budgets, printed, and what the page's script needs to answer for others."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from bench.protocol.load import Protocol
from bench.site.choice import Answer, Question, all_norms, candidates, choose, sizes, standing
from bench.site.entries import Catalogue, Entry
from bench.site.figures import interval, metric, percent, signed, threat
from bench.site.obtain import obtain
from bench.site.pages import Page
from bench.submission.paired import Paired
from bench.submission.rules import RULES
from bench.submission.score import rate, wilson
from bench.threats import Norm

_WORK = (Fraction(1, 2), Fraction(1, 4), Fraction(1, 10))
"""Of the parent's multiply-accumulates."""


class _Budget(NamedTuple):
    says: str
    kind: str
    most: float


_BUDGETS = (
    *(_Budget(f"at least {float(100 * edge):g} % of the weights gone", "left", float(100 * (1 - edge)))
      for edge in RULES.bands),
    *(_Budget(f"at most {share} of the parent's MACs", "work", float(100 * share)) for share in _WORK),
)  # fmt: skip


def page(catalogue: Catalogue) -> Page:
    """Return the page; without scripts it answers for usual budgets, with what was measured again alone."""
    taken: dict[Entry, None] = {}
    groups = [_group(catalogue, protocol, taken) for protocol in catalogue.protocols]
    loads = [
        {"anchor": _anchor(entry), "title": entry.title, "where": f"{entry.protocol.title}, {entry.id}"}
        | obtain(entry)._asdict()
        for entry in taken
    ]
    return Page("deploy.html", "deploy.html", {"groups": groups, "loads": loads}, "deploy.html")


def told(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    """Return what the page's script has to know of an entry beside what compare and explorer work on."""
    parent = catalogue.parents.get(entry)
    return {
        "structure": entry.result.pruning.structure,
        "parent": None if parent is None else parent.id,
        "sizes": sizes(entry),
        "load": list(obtain(entry)),
    }


def _anchor(entry: Entry) -> str:
    return f"load-{entry.protocol.name}-{entry.id}"


def _group(catalogue: Catalogue, protocol: Protocol, taken: dict[Entry, None]) -> dict[str, Any]:
    entries = candidates(catalogue, protocol)
    again = sum(entry.level.ranked for entry in entries)
    says = f"{again} of {len(entries)} entries were measured again and signed; only these are taken here."
    tables = [
        {"title": title, "rows": list(_rows(catalogue, entries, norms, taken))}
        for title, norms in _threats(catalogue, protocol, entries)
    ]
    return {"title": protocol.title, "name": protocol.name, "says": says, "tables": tables}


def _threats(catalogue: Catalogue, protocol: Protocol, entries: list[Entry]) -> Iterator[tuple[str, tuple[Norm, ...]]]:
    for board in catalogue.boards:
        if board.protocol is protocol:
            yield threat(board.norm, board.epsilon), (board.norm,)
    if norms := all_norms(protocol, entries):
        yield "all norms at once", norms


def _rows(
    catalogue: Catalogue, entries: list[Entry], norms: tuple[Norm, ...], taken: dict[Entry, None]
) -> Iterator[dict[str, Any]]:
    for budget in (_Budget("any size", "weights", float("inf")), *_BUDGETS):
        question = Question(norms, budget.kind, budget.most)
        answer = choose(entries, question)
        if answer.take is None:
            yield {"budget": budget.says, "take": "", "says": _nothing(answer, budget.kind)}
            continue
        taken[answer.take] = None
        yield {"budget": budget.says, **_taken(catalogue, answer, answer.take, question)}


def _nothing(answer: Answer, kind: str) -> str:
    """Say that nothing fits, and what the smallest entry that exists needs."""
    if answer.nearest is None:
        return "nothing was measured again"
    needs = f"{sizes(answer.nearest)[kind]:.1f} % of {'its weights' if kind == 'left' else 'the MACs of its parent'}"
    return f"nothing that survives at any point fits: the smallest, {answer.nearest.title}, has {needs}"


def _taken(catalogue: Catalogue, answer: Answer, take: Entry, question: Question) -> dict[str, Any]:
    points, pruning = take.result.data.points, take.result.pruning
    robust = int(standing(take, question.norms).sum())
    rivals = [rival.entry for rival in answer.rivals]
    kind = "weights" if question.kind == "left" else "macs" if question.kind == "work" else question.kind
    smaller = min(rivals, key=lambda entry: (sizes(entry)[kind], entry.id), default=take)
    return {
        "take": take.title,
        "dense": take.dense,
        "address": take.address,
        "anchor": _anchor(take),
        "robust": percent(rate(robust, points)),
        "interval": interval(wilson(robust, points)),
        "clean": percent(rate(take.result.clean.correct, points)),
        "weights": metric(pruning.nonzero),
        "macs": metric(pruning.nonzero_macs),
        "cost": _cost(catalogue, take, question.norms),
        "rivals": str(len(rivals)),
        "smaller": "" if sizes(smaller)[kind] >= sizes(take)[kind] else f"{smaller.title}: {_spelt(smaller, kind)}",
    }


def _spelt(entry: Entry, kind: str) -> str:
    return f"{metric(int(sizes(entry)[kind]))} {'weights' if kind == 'weights' else 'MACs'}"


def _cost(catalogue: Catalogue, entry: Entry, norms: tuple[Norm, ...]) -> tuple[str, str] | None:
    """Return robust and clean accuracy less those of the dense parent, in points; None where it was not measured."""
    parent = catalogue.parents.get(entry)
    if parent is None or parent.withheld or not set(norms) <= set(parent.robust):
        return None
    robust = Paired.of(standing(entry, norms), standing(parent, norms))
    return signed(robust.difference), signed(Paired.of(entry.correct, parent.correct).difference)

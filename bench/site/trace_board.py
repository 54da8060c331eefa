"""The numbers in the row of an entry on each board, column by column, traced to the values that they are made of."""

from collections.abc import Iterator

import numpy as np

from bench.site.entries import Board, Catalogue, Entry
from bench.site.figures import duration, interval, metric, percent, signed
from bench.site.sources import SHARE, WORDS, Field, Files, Formula, Value
from bench.site.tables import columns, rank
from bench.submission.paired import Paired
from bench.submission.score import rate, wilson
from bench.threats import Norm

_METRIC = Formula("to three digits", metric)
_CHANGE = Formula(
    "(first alone − second alone) / points, in percent", lambda *bits: signed(Paired.of(*bits).difference)
)
_AFTER = Formula("(first − all that were broken so far) / points, in percent", lambda correct, total, *broken: (
    percent(rate(correct - sum(broken), total))))  # fmt: skip
_MIDDLE = Formula("the middle one, to three digits", lambda far: "∞" if np.isinf(far) else f"{far:.3g}")
_TIME = Formula("to three digits", duration)
_FASTER = Formula("second / first", lambda mine, theirs: f"{theirs / mine:.2f}× the parent's pace")
_SECONDS = Formula("in whole seconds", lambda seconds: f"{seconds:.0f}")
_JOULES = Formula("the sum of all meters", lambda meters: metric(round(sum(one["joules"] for one in meters))))
_SUM = Formula("the sum of all", lambda *passes: metric(sum(passes)))
_SPAN = Formula("95 % interval (Wilson) of first / second", lambda *of: interval(wilson(*of)))
_ALONE = Formula("95 % interval (Wilson) of first / second; third / second", lambda best, total, alone: (
    f"{interval(wilson(best, total))} ({percent(rate(alone, total))})"))  # fmt: skip


def fields(catalogue: Catalogue, board: Board, entry: Entry) -> Iterator[Field]:
    """Yield the fields of an entry's row on a board, in the order of its columns."""
    made = {**_sizes(board, entry), **(_shares(catalogue, board, entry) if not entry.withheld else {})}
    for column in columns(board):
        for part, (formula, values) in enumerate(made.get(column.key, ())):
            yield Field(f"board.{board.norm}.{column.key}{'.small' if part else ''}", formula, values)


_Parts = dict[str, list[tuple[Formula, tuple[Value, ...]]]]


def _sizes(board: Board, entry: Entry) -> _Parts:
    files, cost = Files(entry), entry.result.cost
    zeros = (files.result("pruning", "zeros"), files.result("pruning", "prunable"))
    words = [*([] if entry.dense else [*zeros]), files.people("method")]
    variant = Formula("the method, and zeros / prunable in percent", lambda *_: entry.variant)
    made: _Parts = {
        "entry": [(WORDS, (files.people("name"),)), (variant, tuple(words))],
        "sparsity": [(SHARE, zeros)],
        "clean": [(SHARE, (files.result("clean", "correct"), files.result("data", "points")))],
        "macs": [(_METRIC, (files.result("pruning", "nonzero_macs"),))],
        "weights": [(_METRIC, (files.result("pruning", "nonzero"),))],
        "bytes": [(_METRIC, (files.result("pruning", "bytes_packed"),))],
        "seconds": [(_SECONDS, (files.result("cost", "seconds"),))],
        "passes": [(_SUM, tuple(_passes(files, board.norm)))],
        "band": [(Formula("between edges of bands", lambda *_: entry.band), zeros)],
    }
    if cost.energy:
        made["joules"] = [(_JOULES, (files.result("cost", "energy"),))]
    if cost.latency:
        mine = files.result("cost", "latency", "network", "forward", 1)
        made["latency"] = [(_TIME, (mine,))]
        if cost.latency.parent:
            both = tuple(files.result("cost", "latency", who, "both", 1) for who in ("network", "parent"))
            made["latency"].append((_FASTER, both))
    if entry in board.places:
        there = tuple(Files(one).stands(board.norm) for one in board.band(entry).places)
        made["rank"] = [
            (Formula("ranks that exact tests of all pairs leave open", lambda *_: rank(board, entry)), there)
        ]
    return made


def _passes(files: Files, norm: Norm) -> Iterator[Value]:
    place = files.threat(norm)
    for number, _ in enumerate(files.record["threats"][place]["attacks"]):
        for key in ("forwards", "backwards"):
            yield files.result("threats", place, "attacks", number, key)


def _shares(catalogue: Catalogue, board: Board, entry: Entry) -> _Parts:
    files, norm = Files(entry), board.norm
    points, place = files.result("data", "points"), files.threat(norm)
    best, alone = files.stands(norm), files.result("threats", place, "robust")
    small = (_SPAN, (best, points)) if entry.alone(norm) is None else (_ALONE, (best, points, alone))
    made: _Parts = {"robust": [(SHARE, (best, points)), small]}
    parent = catalogue.parents.get(entry)
    if parent is not None and norm in parent.robust:
        other = Files(parent)
        pair = (best._replace(value=files.standing(norm)), other.stands(norm)._replace(value=other.standing(norm)))
        made["change"] = [(_CHANGE, pair)]
    attacks = files.record["threats"][place]["attacks"]
    for number, attack in enumerate(attacks):
        broken = [files.result("threats", place, "attacks", before, "broken") for before in range(number + 1)]
        made[f"after-{attack['name']}"] = [(_AFTER, (files.result("clean", "correct"), points, *broken))]
    for other_norm in entry.robust:
        made[f"robust-{other_norm.lower()}"] = [(SHARE, (files.stands(other_norm), points))]
    if all(rule.norm in entry.robust for rule in board.protocol.threats):
        together = np.logical_and.reduce([files.standing(rule.norm) for rule in board.protocol.threats])
        made["union"] = [(SHARE, (files.counted("points that stand under every norm", int(together.sum())), points))]
    for name, record in entry.result.scenarios.items():
        if norm in record.robust:
            made[f"scenario-{name}"] = [(SHARE, (files.result("scenarios", name, "robust", norm.value), points))]
    distances = np.sort(files.points[f"distance_{norm}"])
    middle = files.counted(f"distance_{norm}, sorted: the middle one", float(distances[(len(distances) - 1) // 2]))
    return made | {"median": [(_MIDDLE, (middle,))]}

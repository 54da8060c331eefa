"""Which figures a page carries, filled from the entries."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from bench.site import charts
from bench.site.draw import Drawing, Figure, draw, labels
from bench.site.entries import Board, Catalogue, Entry, paired
from bench.site.figures import p_value, percent, signed, symbol, thousands, threat, under
from bench.site.mixture import candidates
from bench.site.sweetspots import Ladder, ladders
from bench.submission.schema import Result
from bench.submission.score import rate, wilson
from bench.threats import Norm

LINES = 6
"""Curves in one figure; more cannot be told apart."""
LADDERS = 6
"""Ladders on one board."""
POINTS = 600
"""Entries beyond which a front draws one of those that lie on one spot."""
_SPOTS = 8, 50
"""To a doubling of the size, and to the whole of robust accuracy."""
MEASURES = ("density", "nonzero_macs", "bytes_packed")
"""What a board's fronts weigh against robust accuracy."""
TRAILS = 24
"""Dense networks beyond which lines to what was pruned from them would hide the points."""


def unique(entries: Sequence[Entry]) -> dict[Entry, str]:
    """Name entries in one legend, apart from each other."""
    return dict(zip(entries, labels([entry.title for entry in entries], [entry.id for entry in entries]), strict=True))


def _share(entry: Entry, count: int) -> dict[str, float]:
    return _interval(count, entry.result.data.points)


def _interval(count: int, total: int) -> dict[str, float]:
    ends = wilson(count, total)
    return {"robust": round(count / total, 6), "low": round(ends.low, 6), "high": round(ends.high, 6)}


def pareto(catalogue: Catalogue, board: Board, measure: str, page: str, *, apart: bool = False) -> Drawing:
    """Draw robust accuracy against one of the measured sizes; a figure apart from its board is called by it."""
    title, size, spelt = {
        "density": ("Sparsity against robustness", "share of prunable weights left", "p"),
        "nonzero_macs": ("Compute against robustness", "multiply-accumulates with non-zero weights", "s"),
        "bytes_packed": ("Size against robustness", "bytes of masks and values, packed", "s"),
    }[measure]
    title += f": {under(board.protocol.title, board.norm, board.epsilon)}" if apart else ""
    rows, ranked, alive = [], [], []
    for entry in board.entries:
        x = _measured(entry, measure)
        if entry.withheld or not x:
            continue
        standing = "ranked" if entry in board.places else "unranked"
        values = _share(entry, entry.survivors(board.norm))
        kind = "dense" if entry.dense else "pruned"
        rows.append({"x": x, "name": entry.title, "standing": standing, "kind": kind, **values})
        rows[-1]["address"] = entry.address
        if standing == "ranked":
            ranked.append((x, values["robust"]))
        if not entry.result.collapsed and catalogue.current(entry):
            alive.append((x, values["robust"]))
    fronts = {charts.FRONTS[0]: pareto_front(alive), charts.FRONTS[1]: pareto_front(ranked)}
    shown = _thinned(rows, {point for points in fronts.values() for point in points})
    front = [{"x": x, "robust": robust, "of": of} for of, points in fronts.items() for x, robust in points]
    says = (
        f"Scatter plot of {len(rows)} entries: {size} on a logarithmic axis against robust accuracy under "
        f"{threat(board.norm, board.epsilon)}; dashed fronts join the {len(fronts[charts.FRONTS[0]])} measured and the "
        f"{len(fronts[charts.FRONTS[1]])} ranked entries that no smaller one beats, thin lines a dense network with "
        "what was pruned from it. The table holds the same numbers."
    )
    if len(shown) < len(rows):
        says += f" Where many lie on one spot one of them is drawn: {len(shown)} in all."
    figure = Figure(
        charts.pareto, {"points": shown, "front": front, "trails": _trails(catalogue, board, measure)}, (size, spelt)
    )
    return draw(figure, measure.replace("_", "-"), title, says, page)


def _thinned(rows: list[dict[str, Any]], keep: set[tuple[float, float]]) -> list[dict[str, Any]]:
    """Return one row of each spot of a large figure, the first, and one of each place that is to be kept."""
    if len(rows) <= POINTS:
        return rows
    spots: set[tuple[int, int]] = set()
    found = []
    for row in rows:
        spot = (round(math.log2(row["x"]) * _SPOTS[0]), round(row["robust"] * _SPOTS[1]))
        place = (row["x"], row["robust"])
        if spot not in spots or place in keep:
            found.append(row)
        spots.add(spot)
        keep.discard(place)
    return found


def _measured(entry: Entry, measure: str) -> float:
    size = 1 - entry.sparsity if measure == "density" else getattr(entry.result.pruning, measure)
    return round(float(size), 9)


def _trails(catalogue: Catalogue, board: Board, measure: str) -> list[dict[str, Any]]:
    rows = []
    found = ladders(catalogue, board)
    for number, ladder in enumerate(found if len(found) <= TRAILS else []):
        for recipe in ladder.spots:
            steps = [ladder.parent, *(entry for entry, line in ladder.rungs if line == recipe and not entry.withheld)]
            for rung, entry in enumerate(steps):
                x, robust = _measured(entry, measure), _share(entry, entry.survivors(board.norm))["robust"]
                rows += [{"x": x, "robust": robust, "trail": f"{number} {recipe}", "rung": rung}] if x else []
    return rows


def pareto_front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no smaller or equal one matches in robustness, smallest first."""
    front: list[tuple[float, float]] = []
    for x, robust in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or robust > front[-1][1]:
            front.append((x, robust))
    return front


def curve_rows(result: Result, norm: Norm, series: str) -> list[dict[str, Any]]:
    """Return the rows of one robustness curve, as ``charts.curves`` takes them."""
    curve = result.curves[norm]
    return [
        {
            "epsilon": round(float(Fraction(says)), 9),
            "says": says,
            "series": series,
            **_interval(robust, result.data.points),
        }
        for says, robust in zip(curve.epsilon, curve.robust, strict=True)
    ]


def curves(entries: Sequence[Entry], norm: Norm, page: str, *, any_norm: bool = False) -> Drawing:
    """Draw robustness curves of up to six entries; of any norm where scripts may put another one's in their place."""
    names = unique(entries)
    rows = [row for entry, name in names.items() for row in curve_rows(entry.result, norm, name)]
    radius = entries[0].protocol.threat(norm).epsilon
    headline = {"epsilon": float(radius), "says": str(radius)}
    says = (
        f"Robustness curves in {symbol(norm)} of {'; '.join(names.values())}: share of points for which no "
        f"adversarial image was found within epsilon, a bound from above. The dotted line marks the "
        f"radius that ranks, {radius}."
    )
    figure = Figure(charts.curves, {"curves": rows, "headline": [headline]}, ("" if any_norm else symbol(norm),))
    name, title = (
        ("curves", "Robustness curves")
        if any_norm
        else (f"curves-{norm.lower()}", f"Robustness curves, {symbol(norm)}")
    )
    return draw(figure, name, title, says, page)


def ladder(found: Ladder, page: str, name: str) -> Drawing:
    """Draw what rising compression leaves of one parent."""
    rows, spots, recipes = [], [], list(found.spots)
    shown = dict(zip(recipes, labels(recipes, [str(number + 1) for number in range(len(recipes))]), strict=True))
    for entry, recipe, compression in _steps(found):
        values = _share(entry, entry.survivors(found.norm))
        rows.append(
            {"compression": round(float(compression), 6), "recipe": shown[recipe], "name": entry.title, **values}
        )
    for spot in found.spots.values():
        if spot.entry is not None and spot.entry.compression is not None:
            robust = round(spot.entry.survivors(found.norm) / spot.entry.result.data.points, 6)
            spots.append({"compression": round(float(spot.entry.compression), 6), "robust": robust})
    parent = _share(found.parent, found.parent.survivors(found.norm))
    says = (
        f"Robust accuracy of {found.parent.submission.name} over compression for {', '.join(recipes)}; the dashed line "
        f"is the dense parent at {percent(parent['robust'])} %, diamonds mark the sweet spots."
    )
    title = f"Sparsity ladder of {found.parent.submission.name}"
    figure = Figure(charts.ladder, {"ladder": rows, "parent": [parent], "spots": spots})
    return draw(figure, name, title, says, page)


def tallest(found: Sequence[Ladder]) -> list[Ladder]:
    """Return the ladders that are drawn: the first few of those with a step to draw."""
    return [one for one in found if any(_steps(one))][:LADDERS]


def _steps(found: Ladder) -> Iterator[tuple[Entry, str, Fraction]]:
    """Yield what can be drawn of a ladder: entry, recipe and compression."""
    for entry, recipe in found.rungs:
        if entry.compression is not None and not entry.withheld:
            yield entry, recipe, entry.compression


def learning(record: Mapping[str, Any]) -> Drawing:
    """Draw the learning curve of a record of ``bench train``."""
    course, epochs, looks = record["course"], record["epochs"], record["looks"]
    attack = course["adversary"]
    under = f" under {attack['norm']} {attack['epsilon']}" if attack else ""
    counts = {f"training{under}": ([epoch["correct"] for epoch in epochs], record["points"]["points"])}
    for key, says in (("correct", "validation"), ("standing", f"validation{under}")):
        if looks and key in looks[0]:
            counts[says] = ([look[key] for look in looks], record["validation"]["points"])
    shares = [
        {"epoch": epoch, "share": round(count / points, 6), "seen": seen}
        for seen, (found, points) in counts.items()
        for epoch, count in enumerate(found, start=1)
    ]
    losses = [{"epoch": epoch, "loss": round(values["loss"], 6)} for epoch, values in enumerate(epochs, start=1)]
    last = ", ".join(f"{found[-1]} of {points} {seen}" for seen, (found, points) in counts.items())
    return draw(
        Figure(charts.learning, {"losses": losses, "shares": shares}),
        "learning",
        "Learning curve",
        f"Loss and accuracy of {record['architecture']} over {len(epochs)} epochs; at the end right: {last}.",
        "training",
    )


def first(catalogue: Catalogue, board: Board) -> list[Entry]:
    """Return the entries that a figure of a board shows: the first of each band, dense last."""
    alive = set(candidates(catalogue, board))
    leaders = [band.leader for band in board.bands]
    return [entry for entry in leaders if entry in alive][-LINES:]


def board_figures(catalogue: Catalogue, board: Board) -> list[Drawing]:
    """Return the figures of a board."""
    page = f"{board.protocol.name}-{board.norm.lower()}"
    drawn = [pareto(catalogue, board, measure, page) for measure in MEASURES]
    best = first(catalogue, board)
    if best and board.norm in best[0].result.curves:
        drawn.append(curves(best, board.norm, page))
    for number, found in enumerate(tallest(ladders(catalogue, board))):
        drawn.append(ladder(found, page, f"ladder-{number + 1}"))
    return drawn


def waterfall(entry: Entry, norm: Norm, page: str) -> Drawing:
    """Draw what each attack takes away."""
    record = entry.result.threat(norm)
    assert record is not None
    total, standing = entry.result.data.points, entry.result.clean.correct
    rows: list[dict[str, Any]] = [_stage("correct", 0, standing, total, "standing")]
    taken = [(attack.name, attack.broken) for attack in record.attacks]
    taken += [("elsewhere", record.robust - record.best_known)]
    if later := record.best_known - entry.survivors(norm):
        taken += [("found later", later)]
    for name, broken in taken:
        rows.append(_stage(name, standing - broken, standing, total, "broken"))
        standing -= broken
    rows.append(_stage("robust", 0, standing, total, "standing"))
    says = "; ".join(f"{row['stage']} {row['count']}" for row in rows)
    title = f"Attack by attack, {threat(norm, record.epsilon)}"
    description = f"Waterfall from {entry.result.clean.correct} correct points to {standing} robust ones: {says}."
    return draw(Figure(charts.waterfall, {"stages": rows}), f"waterfall-{norm.lower()}", title, description, page)


def _stage(name: str, low: int, high: int, total: int, kind: str) -> dict[str, Any]:
    says = thousands(high - low) if kind == "standing" else f"−{thousands(high - low)}" if high > low else "0"
    ends = {"low": round(low / total, 6), "high": round(high / total, 6)}
    return {"stage": name, **ends, "kind": kind, "count": high - low, "says": says}


def layers(entry: Entry, page: str) -> Drawing:
    """Draw the density of every prunable layer."""
    rows, found = [], entry.result.pruning.layers
    names = labels([layer.name for layer in found], [str(number + 1) for number in range(len(found))])
    for layer, name in zip(found, names, strict=True):
        density = 1 - rate(layer.zeros, layer.weights)
        values = {"density": round(float(density), 6), "weights": layer.weights, "says": f"{percent(density)} %"}
        rows.append({"layer": name, **values})
    says = "Density by layer: " + "; ".join(f"{row['layer']} {row['says']}" for row in rows) + "."
    return draw(Figure(charts.layers, {"layers": rows}), "layers", "Density by layer", says, page)


def entry_figures(catalogue: Catalogue, entry: Entry) -> list[Drawing]:
    """Return the figures of an entry; none of its robustness where that is withheld."""
    page = f"{entry.protocol.name}/{entry.id}"  # a folder apart, or an entry called linf would draw over a board
    drawn: list[Drawing] = []
    if not entry.withheld:
        parent = catalogue.parents.get(entry)
        family = [entry] if parent is None or parent.withheld else [entry, parent]
        for norm in (norm for norm in entry.robust if norm in entry.result.curves):
            drawn += [curves([one for one in family if norm in one.result.curves], norm, page)]
        drawn += [waterfall(entry, norm, page) for norm in entry.robust]
    if entry.result.pruning.layers:
        drawn.append(layers(entry, page))
    return drawn


def every_entry() -> list[Drawing]:
    """Return an empty figure of every kind that pages of entries carry."""
    kinds: list[tuple[Any, tuple[str, ...]]] = [(charts.curves, (symbol(norm),)) for norm in Norm]
    kinds += [(charts.waterfall, ()), (charts.layers, ())]
    return [Drawing("", "", "", define, options, "{}", "", "") for define, options in kinds]


def difference_rows(base: Entry, others: Sequence[Entry], norm: Norm) -> list[dict[str, Any]]:
    """Return each entry's paired difference to the first, ready to draw."""
    rows = []
    for entry, name in unique(others).items():
        pair = paired(entry, base, norm)
        ends = pair.interval
        rows.append({
            "name": name,
            "difference": round(float(pair.difference), 6),
            "low": round(ends.low, 6),
            "high": round(ends.high, 6),
            "verdict": pair.verdict,
            "says": p_value(pair.p_value),
        })  # fmt: skip
    return rows


def differences(base: Entry, others: Sequence[Entry], norm: Norm, page: str) -> Drawing:
    """Draw paired differences to one entry."""
    rows = difference_rows(base, others, norm)
    found = "; ".join(f"{row['name']} {signed(row['difference'])} points, {row['verdict']}" for row in rows)
    title = f"Paired difference to {base.title}"
    figure = Figure(charts.differences, {"differences": rows, "zero": [{"at": 0}]})
    return draw(figure, "differences", title, f"{title}: {found}.", page)

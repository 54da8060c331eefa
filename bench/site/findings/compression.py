"""What pruning does to robustness: sweet spots, gains and losses against the parents, recipes against regimes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from random import Random
from statistics import variance
from typing import NamedTuple

from bench.site.entries import Board, Catalogue, Entry, paired
from bench.site.figures import band_label, counted, percent, signed, times
from bench.site.findings.finding import FEWEST, Finding, answered, descended, named, share
from bench.site.sweetspots import Ladder, Spot, ladders
from bench.submission.paired import Paired, holm
from bench.submission.ranks import band
from bench.submission.rules import RULES, SIGNIFICANCE

_DRAWS = 2000
"""Of cells, for an interval."""
_PAIRS = 3
"""Below which a regime has a row and no sentence."""


class _Reached(NamedTuple):
    """A line of a ladder with its sweet spot, where it has one."""

    ladder: Ladder
    line: str
    spot: Spot

    @property
    def steps(self) -> int:
        """How many sparsities were measured."""
        return sum(line == self.line for _, line in self.ladder.rungs)

    @property
    def worse(self) -> bool:
        """It survives on significantly fewer points than its parent, though within the margin."""
        robust = self.spot.robust
        return robust is not None and robust.first < robust.second and robust.p_value < SIGNIFICANCE


def sweet_spots(catalogue: Catalogue) -> Finding | None:
    """Say how far pruning can go on each board before robustness goes."""
    says, rows = [], []
    for board in catalogue.boards:
        lines = [
            _Reached(ladder, line, spot) for ladder in ladders(catalogue, board) for line, spot in ladder.spots.items()
        ]
        shown = [line for line in lines if line.spot.entry is not None]
        if not lines:
            continue
        together = sum(line.spot.together is not None for line in shown)
        worse = sum(line.worse for line in shown)
        says.append(
            f"On {named(board)}, {len(shown)} of {counted(len(lines), 'ladder')} (a recipe on a dense parent; "
            f"{sum(line.steps == 1 for line in lines)} of a single step) end in a sweet spot, {together} where all of "
            f"them are claimed together{_farthest(shown)}."
            + (
                f" {worse} of the sweet spots {'survives' if worse == 1 else 'survive'} on significantly fewer points "
                "than the parent."
                if worse
                else ""
            )
        )
        rows += [_row(board, line) for line in shown]
    if says:
        says.append(
            f"A sweet spot is shown, up to each step, to keep more than {percent(RULES.kept_robust, 0)} % of the "
            f"parent's robust points and more than {percent(RULES.kept_clean, 0)} % of those that it is right on: it "
            "may lose some. A network that collapsed ends its ladder."
        )
    header = (
        "Board",
        "Dense parent",
        "Recipe",
        "Sweet spot",
        "Compression",
        "Steps measured",
        "Of all claims together",
    )
    return answered(
        "sweet-spots", "Are there sweet spots, at which compression, and for which recipes?", says, header, rows
    )


def _farthest(shown: Sequence[_Reached]) -> str:
    if not shown:
        return ""
    far = max(shown, key=lambda line: (_compression(line.spot.entry), line.spot.together is not None, line.steps))
    as_far = sum(_times(line.spot.entry) == _times(far.spot.entry) for line in shown) - 1
    others = f", as far as {counted(as_far, 'other')}" if as_far else ""
    alone = ", its only step" if far.steps == 1 else ""
    name = far.ladder.parent.submission.name
    return f"; the farthest is {far.line} on {name} at {_times(far.spot.entry)}{others}{alone}"


def _row(board: Board, line: _Reached) -> tuple[str, ...]:
    at = f"{percent(line.spot.entry.sparsity)} %" if line.spot.entry else "–"
    parent, spot = line.ladder.parent.submission.name, line.spot
    return named(board), parent, line.line, at, _times(spot.entry), str(line.steps), _times(spot.together)


def parents(catalogue: Catalogue) -> Finding | None:
    """Hold the seed's conclusion, that pruning can add robustness, against every pruned entry and its parent."""
    says, rows = [], []
    for board in catalogue.boards:
        pairs = [(entry, paired(entry, parent, board.norm)) for entry, parent in descended(catalogue, board)]
        told = [pair for pair in pairs if pair[1].both + pair[1].first + pair[1].second]
        if not told:
            continue
        stands = holm([pair.p_value for _, pair in told], SIGNIFICANCE)
        apart = {entry: pair.difference for entry, pair in told}
        sure = {entry for (entry, _), stand in zip(told, stands, strict=True) if stand}
        better, worse = ({entry for entry in sure if sign * apart[entry] > 0} for sign in (1, -1))
        learned = sum(entry.result.pruning.regime not in {None, "one-shot"} for entry in better)
        says.append(
            f"On {named(board)}, of {counted(len(told), 'pruned network')} {len(better)} survive on significantly more "
            f"points than the dense parent{f' ({learned} of them learned after they were pruned)' if learned else ''} "
            f"and {len(worse)} on fewer, all tests together at the {percent(SIGNIFICANCE, 0)} % level."
            + (
                f" Left out of {len(pairs)} are those of which neither network nor parent survives on any."
                if len(pairs) > len(told)
                else ""
            )
        )
        rows += [
            (
                named(board),
                band_label(number),
                str(len(inside)),
                str(sum(entry in better for entry in inside)),
                str(sum(entry in worse for entry in inside)),
                signed(_mean([apart[entry] for entry in inside])),
            )
            for number, inside in _by_band([entry for entry, _ in told])
        ]
    if says:
        says.append(
            "arXiv:2108.08560 saw gains of naturally trained networks, and most parents here were trained to be "
            "robust; its own setting is repeated in the document 'The first experiment, repeated'."
        )
    header = ("Board", "Pruned", "Networks", "More robust", "Less robust", "Mean difference, points of a hundred")
    return answered(
        "parents", "Do pruned networks survive on more points than their dense parents?", says, header, rows
    )


class _Gain(NamedTuple):
    """What learning after pruning did, as shares of the points.

    Attributes:
        sure: the difference stands among all tests of the board.
    """

    regime: str
    robust: Fraction
    clean: Fraction
    sure: bool


def regimes(catalogue: Catalogue) -> Finding | None:
    """Hold what learned after pruning against what the same recipe left of the same parent at once."""
    says, rows = [], []
    for board in catalogue.boards:
        gains = _gains(catalogue, board)
        for regime in sorted({gain.regime for gain in gains}):
            own = [gain for gain in gains if gain.regime == regime]
            more, fewer = (sum(gain.sure and sign * gain.robust > 0 for gain in own) for sign in (1, -1))
            robust, clean = signed(_mean([gain.robust for gain in own])), signed(_mean([gain.clean for gain in own]))
            if len(own) >= _PAIRS:
                says.append(
                    f"On {named(board)}, {regime} leaves significantly more points than pruning at once in {more} of "
                    f"{len(own)} pairs and fewer in {fewer}: {robust} points of a hundred in the mean, clean {clean}."
                )
            rows.append((named(board), regime, str(len(own)), str(more), str(fewer), robust, clean))
    if says:
        says.append(
            "A pair has the same parent, recipe and sparsity, and neither of it has collapsed; all pairs of a board "
            "are tested together. What learned saw training images once more, which the dense parent did not."
        )
    header = ("Board", "Regime", "Pairs", "More robust", "Less robust", "Mean difference, points of a hundred", "Clean")
    return answered("regimes", "What does learning after pruning bring?", says, header, rows)


def _gains(catalogue: Catalogue, board: Board) -> list[_Gain]:
    entries = [entry for entry, _ in descended(catalogue, board) if entry.result.pruning.criterion is not None]
    at_once = {_made(entry): entry for entry in entries if entry.result.pruning.regime == "one-shot"}
    pairs = [
        (entry, before)
        for entry in entries
        if entry.result.pruning.regime != "one-shot" and (before := at_once.get(_made(entry))) is not None
    ]
    robust = [paired(entry, before, board.norm) for entry, before in pairs]
    return [
        _Gain(
            str(entry.result.pruning.regime),
            pair.difference,
            Paired.of(entry.correct, before.correct).difference,
            sure,
        )
        for (entry, before), pair, sure in zip(pairs, robust, holm([pair.p_value for pair in robust]), strict=True)
    ]


def _made(entry: Entry) -> tuple[object, ...]:
    pruning = entry.result.pruning
    return entry.result.model.parent_sha256, pruning.criterion, pruning.asked, pruning.structure, pruning.keep


class _Cell(NamedTuple):
    """What was made of one parent at one sparsity, where recipes and regimes both differ.

    Attributes:
        recipes: variance of robust accuracy between recipes under the same regime.
        regimes: between regimes after the same recipe.
    """

    entries: int
    recipes: float
    regimes: float


def recipe_or_regime(catalogue: Catalogue) -> Finding | None:
    """Compare the variance between recipes with that between regimes, in cells where both differ."""
    says, rows = [], []
    for board in catalogue.boards:
        cells = _cells((entry for entry, _ in descended(catalogue, board)), board)
        if len(cells) < FEWEST or not any(cell.recipes + cell.regimes for cell in cells):
            continue
        part, (low, high) = _part(cells), _interval(cells)
        if low <= 0.5 <= high:
            verdict = "which of the two matters more is not shown"
        else:
            verdict = f"{'recipes' if low > 0.5 else 'regimes'} matter more"
        says.append(
            f"On {named(board)}, {verdict}: in {len(cells)} cells of one parent and sparsity where both differ, "
            f"recipes make {percent(part, 0)} % of the variance of robust accuracy that the two make "
            f"({percent(low, 0)}–{percent(high, 0)} %)."
        )
        deviations = (sum(getattr(cell, what) for cell in cells) / len(cells) for what in ("recipes", "regimes"))
        rows.append(
            (
                named(board),
                str(len(cells)),
                str(sum(cell.entries for cell in cells)),
                *(f"{100 * found**0.5:.1f}" for found in deviations),
                f"{percent(part, 0)} % ({percent(low, 0)}–{percent(high, 0)} %)",
            )
        )
    if says:
        says.append(
            "Recipes are held apart under the same regime, regimes after the same recipe, and the variances of the "
            "cells are added; the 95 % interval is of cells drawn again, which takes cells of one parent for "
            "independent. What a network learned after it was pruned is its authors' word; how many weights are zero "
            "is not."
        )
    header = ("Board", "Cells", "Entries", "Deviation between recipes, points of a hundred", "Between regimes",
              "Part of the recipes")  # fmt: skip
    return answered("recipe-or-regime", "Does the recipe or the regime matter more?", says, header, rows)


def _cells(entries: Iterable[Entry], board: Board) -> list[_Cell]:
    found: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        pruning = entry.result.pruning
        if pruning.criterion is not None:
            alike = (entry.result.model.parent_sha256, pruning.asked, pruning.structure, entry.result.seed)
            found[alike].append(entry)
    cells = []
    for _, inside in sorted(found.items(), key=lambda item: [*map(str, item[0])]):
        recipes = _spread(inside, board, lambda entry: entry.result.pruning.regime)
        regimes = _spread(inside, board, lambda entry: entry.result.pruning.criterion)
        if recipes is not None and regimes is not None:
            cells.append(_Cell(len(inside), recipes, regimes))
    return cells


def _spread(entries: Sequence[Entry], board: Board, alike: Callable[[Entry], object]) -> float | None:
    """Return the pooled variance within groups that are alike; None where no group has two entries."""
    groups: dict[object, list[float]] = defaultdict(list)
    for entry in entries:
        groups[alike(entry)].append(float(share(entry, board)))
    wide = [shares for shares in groups.values() if len(shares) > 1]
    if not wide:
        return None
    return sum(variance(shares) * (len(shares) - 1) for shares in wide) / sum(len(shares) - 1 for shares in wide)


def _part(cells: Sequence[_Cell]) -> float:
    """Return the part of the recipes in all variance; one half where there is none."""
    recipes, regimes = (sum(getattr(cell, what) for cell in cells) for what in ("recipes", "regimes"))
    return float(recipes / (recipes + regimes)) if recipes + regimes else 0.5


def _interval(cells: Sequence[_Cell]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of ``_part``, by percentiles: Efron 1979, doi:10.1214/aos/1176344552."""
    draw = Random(0)  # of one's own, so that the page is the same every time
    parts = sorted(_part(draw.choices(cells, k=len(cells))) for _ in range(_DRAWS))
    return parts[_DRAWS // 40], parts[-1 - _DRAWS // 40]


def _by_band(entries: Sequence[Entry]) -> list[tuple[int, list[Entry]]]:
    found: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[band(entry.sparsity)].append(entry)
    return sorted(found.items())


def _mean(shares: Sequence[Fraction]) -> Fraction:
    return sum(shares, Fraction(0)) / len(shares)


def _compression(entry: Entry | None) -> Fraction:
    return (entry.compression if entry else None) or Fraction(0)


def _times(entry: Entry | None) -> str:
    return times(entry.compression if entry else None)

"""What the entries of all boards say together: questions, and answers that are computed from them or left out."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from statistics import mean, variance

from bench.site.entries import Board, Catalogue, Entry, paired
from bench.site.figures import band_label, counted, percent, signed, symbol, times, under
from bench.site.mixture import candidates, envelope, lines
from bench.site.sweetspots import Spot, ladders
from bench.submission.paired import holm
from bench.submission.ranks import band
from bench.submission.rules import SIGNIFICANCE
from bench.submission.score import rate
from bench.submission.statistics import kendall
from bench.threats import Scenario

_FEWEST = 5
"""Entries below which nothing is said of an order or a variance: two orders of four agree by chance once in 24."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One question and what the entries answer.

    Attributes:
        anchor: names it in an address.
        says: sentences, each of which follows from entries that are there.
        header, rows: the figures that the sentences rest on, as they are printed.
    """

    anchor: str
    question: str
    says: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def findings(catalogue: Catalogue) -> list[Finding]:
    """Return the questions that the entries answer; one without evidence is left out."""
    found = (ask(catalogue) for ask in _QUESTIONS)
    return [finding for finding in found if finding is not None]


def _sweet_spots(catalogue: Catalogue) -> Finding | None:
    says, rows = [], []
    for board in catalogue.boards:
        spots = [
            (ladder.parent, line, spot) for ladder in ladders(catalogue, board) for line, spot in ladder.spots.items()
        ]
        if not spots:
            continue
        shown = [found for found in spots if found[2].entry is not None]
        together = [found for found in shown if found[2].together is not None]
        says.append(
            f"On {_name(board)}, {len(shown)} of {counted(len(spots), 'ladder')} (a recipe on a dense parent) end in "
            f"a sweet spot, {len(together)} where all of them are claimed together{_farthest(shown)}."
        )
        rows += [_spot(board, *found) for found in shown]
    header = ("Board", "Dense parent", "Recipe", "Sweet spot", "Compression", "Of all claims together")
    return _finding(
        "sweet-spots", "Are there sweet spots, at which compression, and for which recipes?", says, header, rows
    )


def _farthest(shown: Sequence[tuple[Entry, str, Spot]]) -> str:
    if not shown:
        return ""
    parent, line, spot = max(shown, key=lambda found: _compression(found[2].entry))
    return f"; the farthest is {line} on {parent.submission.name} at {_times(spot.entry)}"


def _spot(board: Board, parent: Entry, line: str, spot: Spot) -> tuple[str, ...]:
    at = f"{percent(spot.entry.sparsity)} %" if spot.entry else "–"
    return _name(board), parent.submission.name, line, at, _times(spot.entry), _times(spot.together)


def _against_parents(catalogue: Catalogue) -> Finding | None:
    """Hold the seed's conclusion, that pruning can add robustness, against every pruned entry and its parent."""
    says, rows = [], []
    for board in catalogue.boards:
        pairs = [(entry, paired(entry, parent, board.norm)) for entry, parent in _descended(catalogue, board)]
        if not pairs:
            continue
        told = holm([pair.p_value for _, pair in pairs], SIGNIFICANCE)
        apart = {entry: pair.difference for entry, pair in pairs}
        better = {entry for (entry, pair), sure in zip(pairs, told, strict=True) if sure and pair.difference > 0}
        worse = {entry for (entry, pair), sure in zip(pairs, told, strict=True) if sure and pair.difference < 0}
        says.append(
            f"On {_name(board)}, of {counted(len(pairs), 'pruned network')} {len(better)} survive on significantly "
            f"more points than the dense parent and {len(worse)} on fewer, all tests together at the "
            f"{percent(SIGNIFICANCE, 0)} % level."
        )
        rows += [
            (
                _name(board),
                band_label(number),
                str(len(inside)),
                str(sum(entry in better for entry in inside)),
                str(sum(entry in worse for entry in inside)),
                signed(sum((apart[entry] for entry in inside), Fraction(0)) / len(inside)),
            )
            for number, inside in _by_band([entry for entry, _ in pairs])
        ]
    header = ("Board", "Pruned", "Networks", "More robust", "Less robust", "Mean difference, points of a hundred")
    return _finding(
        "parents",
        "Do pruned networks survive on more points than their dense parents, as arXiv:2108.08560 saw of natural ones?",
        says,
        header,
        rows,
    )


def _recipe_or_regime(catalogue: Catalogue) -> Finding | None:
    """Compare the variance between recipes with that between regimes, everything else of a cell alike."""
    says, rows = [], []
    for board in catalogue.boards:
        cells = [entry for entry, _ in _descended(catalogue, board) if entry.result.pruning.criterion is not None]
        found = {what: _spread(cells, board, key) for what, key in (("recipes", _but_recipe), ("regimes", _but_regime))}
        parts = {what: spread for what, spread in found.items() if spread is not None}
        rows += [
            (_name(board), what, str(groups), str(entries), f"{100 * part**0.5:.1f}")
            for what, (part, groups, entries) in parts.items()
        ]
        if len(parts) == 2:
            recipe, regime = parts["recipes"][0], parts["regimes"][0]
            if recipe + regime > 0:
                says.append(
                    f"On {_name(board)}, of the variance of robust accuracy that recipe and regime make, recipes make "
                    f"{percent(recipe / (recipe + regime), 0)} % and regimes "
                    f"{percent(regime / (recipe + regime), 0)} %."
                )
    if says:
        says.append(
            "What a network learned after it was pruned is its authors' word; how many weights are zero is not."
        )
    header = ("Board", "Between", "Groups", "Entries", "Standard deviation, points of a hundred")
    return _finding("recipe-or-regime", "Does the recipe or the regime matter more?", says, header, rows)


def _spread(
    entries: Sequence[Entry], board: Board, alike: Callable[[Entry], tuple[object, ...]]
) -> tuple[float, int, int] | None:
    """Return the pooled variance within groups of entries that are alike but for one thing, groups and entries."""
    groups: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for entry in entries:
        groups[alike(entry)].append(float(_robust(entry, board)))
    wide = [shares for shares in groups.values() if len(shares) > 1]
    if sum(map(len, wide)) < _FEWEST:
        return None
    free = sum(len(shares) - 1 for shares in wide)
    pooled = sum(variance(shares) * (len(shares) - 1) for shares in wide) / free
    return pooled, len(wide), sum(map(len, wide))


def _but_recipe(entry: Entry) -> tuple[object, ...]:
    pruning = entry.result.pruning
    return entry.result.model.parent_sha256, pruning.asked, pruning.structure, pruning.regime, entry.result.seed


def _but_regime(entry: Entry) -> tuple[object, ...]:
    pruning = entry.result.pruning
    return entry.result.model.parent_sha256, pruning.asked, pruning.criterion, entry.result.seed


def _scenarios(catalogue: Catalogue) -> Finding | None:
    says, rows = [], []
    for board in catalogue.boards:
        pruned = [entry for entry in candidates(catalogue, board) if not entry.dense]
        reigns = envelope(lines(pruned, board.norm))
        if len(pruned) < 2:
            continue
        crossings = ", ".join(f"{percent(reign.start)} %" for reign in reigns[1:])
        says.append(
            f"On {_name(board)}, "
            + (
                f"{len(reigns)} pruned networks are best for some share of attacked traffic; the lead changes at "
                f"{crossings}."
                if crossings
                else f"{reigns[0].line.entry.title} is the best pruned network at any share of attacked traffic."
            )
        )
        rows += [
            (
                _name(board),
                f"{percent(reign.start)}–{percent(reign.end)} %",
                reign.line.entry.title,
                percent(reign.line.clean),
                percent(reign.line.robust),
            )
            for reign in reigns
        ]
    header = ("Board", "Attacked share of the traffic", "Best pruned network", "Clean %", "Robust %")
    return _finding(
        "scenarios", "Which network wins in which scenario, and where do the lines A(p) cross?", says, header, rows
    )


def _transfer(catalogue: Catalogue) -> Finding | None:
    says, rows = [], []
    for board in catalogue.boards:
        pairs = [
            (
                rate(entry.result.scenarios[Scenario.TRANSFER].robust[board.norm], entry.result.data.points),
                _robust(entry, board),
            )
            for entry in candidates(catalogue, board)
            if board.norm in _transferred(entry)
        ]
        if len(pairs) < _FEWEST:
            continue
        agreement = kendall([(float(one), float(other)) for one, other in pairs])
        gap = mean(one - other for one, other in pairs)
        says.append(
            f"On {_name(board)}, what was found on the parent leaves {percent(abs(gap))} points of a hundred "
            f"{'fewer' if gap < 0 else 'more'} standing than attacks on the network itself, the mean of {len(pairs)} "
            "networks"
            + (
                "."
                if agreement is None
                else f"; Kendall's τ between the two orders is {agreement:.2f}.".replace("-", "−")
            )
        )
        rows.append(
            (
                _name(board),
                str(len(pairs)),
                percent(mean(one for one, _ in pairs)),
                percent(mean(other for _, other in pairs)),
                "–" if agreement is None else f"{agreement:.2f}".replace("-", "−"),
            )
        )
    header = ("Board", "Networks", "Transfer leaves, %", "White-box leaves, %", "Kendall's τ")
    return _finding("transfer", "Does transfer from the parent tell what white-box attacks tell?", says, header, rows)


def _transferred(entry: Entry) -> frozenset[object]:
    scenario = entry.result.scenarios.get(Scenario.TRANSFER)
    return frozenset() if scenario is None else frozenset(scenario.robust)


def _norms(catalogue: Catalogue) -> Finding | None:
    says, rows = [], []
    for one, other in combinations(catalogue.boards, 2):
        if one.protocol is not other.protocol:
            continue
        both = [entry for entry in candidates(catalogue, one) if not entry.dense and other.norm in entry.robust]
        agreement = kendall([(float(entry.survivors(one.norm)), float(entry.survivors(other.norm))) for entry in both])
        if len(both) < _FEWEST or agreement is None:
            continue
        told = f"{agreement:.2f}".replace("-", "−")
        names = f"{symbol(one.norm)} and {symbol(other.norm)}"
        says.append(
            f"On {one.protocol.title}, the orders of {len(both)} pruned networks under {names} agree with τ = {told}."
        )
        rows.append((one.protocol.title, names, str(len(both)), told))
    header = ("Data", "Norms", "Pruned networks", "Kendall's τ")
    return _finding("norms", "How far do the orders under different norms agree?", says, header, rows)


def _presets(catalogue: Catalogue) -> Finding | None:
    says, rows = [], []
    for protocol in catalogue.protocols:
        for name, preset in protocol.presets.items():
            for gap in preset.gaps:
                share = percent(rate(gap.more, gap.points))
                says.append(
                    f"Of {gap.points} correct points of {gap.networks} networks under {symbol(gap.norm)}, {share} % "
                    f"stood under the preset {name} of {protocol.name} that its rules break."
                )
                most, points = gap.largest
                rows.append(
                    (
                        protocol.name,
                        name,
                        symbol(gap.norm),
                        f"{gap.more} of {gap.points}",
                        f"{most} of {points} ({gap.network})",
                    )
                )
    header = ("Rules", "Preset", "Norm", "Points too many", "At most, of one network")
    return _finding("presets", "How far are fast figures from those of the whole rules?", says, header, rows)


_QUESTIONS = (_sweet_spots, _against_parents, _recipe_or_regime, _scenarios, _transfer, _norms, _presets)


def _finding(
    anchor: str, question: str, says: Sequence[str], header: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> Finding | None:
    return Finding(anchor, question, tuple(says), header, tuple(rows)) if says else None


def _descended(catalogue: Catalogue, board: Board) -> Iterator[tuple[Entry, Entry]]:
    """Yield each pruned entry that can be chosen with its parent, where that brings the norm and is published."""
    for entry in candidates(catalogue, board):
        parent = catalogue.parents.get(entry)
        if parent is not None and board.norm in parent.robust and not parent.withheld:
            yield entry, parent


def _by_band(entries: Sequence[Entry]) -> list[tuple[int, list[Entry]]]:
    found: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[band(entry.sparsity)].append(entry)
    return sorted(found.items())


def _robust(entry: Entry, board: Board) -> Fraction:
    return rate(entry.survivors(board.norm), entry.result.data.points)


def _name(board: Board) -> str:
    return under(board.protocol.title, board.norm, board.epsilon)


def _compression(entry: Entry | None) -> Fraction:
    return (entry.compression if entry else None) or Fraction(0)


def _times(entry: Entry | None) -> str:
    return times(entry.compression if entry else None)

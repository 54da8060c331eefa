"""What attacks tell: scenarios, transfer, norms, how near the curves come, how far fast figures are off."""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from statistics import mean

from bench.protocol.gap import Gap
from bench.site.edge import loose
from bench.site.entries import Board, Catalogue, Entry
from bench.site.figures import percent, symbol
from bench.site.findings.finding import FEWEST, Finding, answered, named, order, share, spelt
from bench.site.mixture import candidates, envelope, lines
from bench.submission.ranks import band
from bench.submission.score import rate
from bench.threats import Scenario


def scenarios(catalogue: Catalogue) -> Finding | None:
    """Say which pruned network is best for which share of attacked traffic."""
    says, rows = [], []
    for board in catalogue.boards:
        pruned = [entry for entry in candidates(catalogue, board) if not entry.dense]
        reigns = envelope(lines(pruned, board.norm))
        if len(pruned) < 2:
            continue
        crossings = ", ".join(f"{percent(reign.start)} %" for reign in reigns[1:])
        says.append(
            f"On {named(board)}, "
            + (
                f"{len(reigns)} pruned networks are best for some share of attacked traffic; the lead changes at "
                f"{crossings}."
                if crossings
                else f"{reigns[0].line.entry.title} is the best pruned network at any share of attacked traffic."
            )
        )
        rows += [
            (
                named(board),
                f"{percent(reign.start)}–{percent(reign.end)} %",
                reign.line.entry.title,
                percent(reign.line.clean),
                percent(reign.line.robust),
            )
            for reign in reigns
        ]
    if says:
        says.append(
            "With a share p of the traffic attacked, a network is right on A(p) = (1 − p) · clean + p · robust of it. "
            "Of networks with equal lines the smaller one is named, and no test says that a lead is more than chance."
        )
    header = ("Board", "Attacked share of the traffic", "Best pruned network", "Clean %", "Robust %")
    return answered(
        "scenarios", "Which network wins in which scenario, and where do the lines A(p) cross?", says, header, rows
    )


def transfer(catalogue: Catalogue) -> Finding | None:
    """Hold what a replay of the parent's images leaves against what the network's own attacks leave."""
    says, rows = [], []
    for board in catalogue.boards:
        pairs = [
            (
                rate(entry.result.scenarios[Scenario.TRANSFER].robust[board.norm], entry.result.data.points),
                share(entry, board),
            )
            for entry in candidates(catalogue, board)
            if board.norm in _transferred(entry)
        ]
        if len(pairs) < FEWEST:
            continue
        agreement = order(pairs)
        gap = mean(one - other for one, other in pairs)
        says.append(
            f"On {named(board)}, the nearest images that were found on the parent leave {percent(abs(gap))} points of "
            f"a hundred {'fewer' if gap < 0 else 'more'} standing than attacks on the network itself, the mean of "
            f"{len(pairs)} networks"
            + ("." if agreement is None else f"; Kendall's τ-b between the two orders is {spelt(agreement)}.")
        )
        rows.append(
            (
                named(board),
                str(len(pairs)),
                percent(mean(one for one, _ in pairs)),
                percent(mean(other for _, other in pairs)),
                spelt(agreement),
            )
        )
    if says:
        says.append(
            "Replayed is, for each point, the smallest change that fools the parent: it was made to be small, not to "
            "carry over. Images made on the parent with the whole radius carry further, so this is what one adversary "
            "without access achieves, and no bound for all of them."
        )
    header = ("Board", "Networks", "Transfer leaves, %", "White-box leaves, %", "Kendall's τ-b")
    return answered("transfer", "Does transfer from the parent tell what white-box attacks tell?", says, header, rows)


def _transferred(entry: Entry) -> frozenset[object]:
    scenario = entry.result.scenarios.get(Scenario.TRANSFER)
    return frozenset() if scenario is None else frozenset(scenario.robust)


def norms(catalogue: Catalogue) -> Finding | None:
    """Say how far the orders of pruned networks agree under two norms, over all and within bands of sparsity."""
    says, rows = [], []
    for one, other in combinations(catalogue.boards, 2):
        if one.protocol is not other.protocol:
            continue
        both = [entry for entry in candidates(catalogue, one) if not entry.dense and other.norm in entry.robust]
        agreement = order(_beside(both, one, other))
        if agreement is None:
            continue
        inside, within = _within(both, one, other)
        names = f"{symbol(one.norm)} and {symbol(other.norm)}"
        says.append(
            f"On {one.protocol.title}, the orders of {len(both)} pruned networks under {names} agree with τ-b = "
            f"{spelt(agreement)}"
            + ("." if within is None else f", and of {inside} within their bands of sparsity with {spelt(within)}.")
        )
        rows.append((one.protocol.title, names, str(len(both)), spelt(agreement), spelt(within)))
    if says:
        says.append(
            "More pruning leaves less under every norm, which alone makes orders agree; within bands, each weighed by "
            "its pairs, that counts less."
        )
    header = ("Data", "Norms", "Pruned networks", "Kendall's τ-b", "Within bands")
    return answered("norms", "How far do the orders under different norms agree?", says, header, rows)


def _beside(entries: Sequence[Entry], one: Board, other: Board) -> list[tuple[Fraction, Fraction]]:
    return [(share(entry, one), share(entry, other)) for entry in entries]


def _within(entries: Sequence[Entry], one: Board, other: Board) -> tuple[int, float | None]:
    """Return the number of networks in bands that have an order, and the mean τ-b of these, weighed by pairs."""
    banded: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        banded[band(entry.sparsity)].append(entry)
    found = [(len(inside), order(_beside(inside, one, other))) for inside in banded.values()]
    told = [(count, agreement) for count, agreement in found if agreement is not None]
    pairs = sum(count * (count - 1) for count, _ in told)
    if not pairs:
        return 0, None
    return sum(count for count, _ in told), sum(count * (count - 1) * tau for count, tau in told) / pairs


def unresolved(catalogue: Catalogue) -> Finding | None:
    """Name the networks on which nothing was found inside the radius, so that their curves there are loose bounds."""
    says, rows = [], []
    for board in catalogue.boards:
        asked = candidates(catalogue, board)
        found = [(entry, edge) for entry in asked if (edge := loose(entry, board.norm)) is not None]
        if not found:
            continue
        says.append(
            f"On {named(board)}, {len(found)} of {len(asked)} networks have curves that are loose inside the radius: "
            "for most of the points that fell, no image was found nearer than its edge."
        )
        rows += [(named(board), entry.title, f"{edge.found} of {edge.broken}") for entry, edge in found]
    if says:
        says.append(
            "A curve says how many points stand at each radius as far as images were found, a bound from above like "
            "every robust accuracy. At the board's own radius the whole cascade attacks; nearer, FMN alone looks for "
            "smaller changes, and where it finds none the curve, the median distance and what the Explorer says of "
            "smaller ε may be far too high."
        )
    header = ("Board", "Network", "Broken points found at the edge alone")
    return answered("unresolved", "How near to the truth are the curves inside the radius?", says, header, rows)


def presets(catalogue: Catalogue) -> Finding | None:
    """Say how far figures of fast presets are from those of the rules, as measured once and kept with these."""
    names: dict[tuple[str, Gap], list[str]] = defaultdict(list)
    for protocol in catalogue.protocols:
        for name, preset in protocol.presets.items():
            for gap in preset.gaps:
                names[name, gap].append(protocol.name)
    says, rows = [], []
    for (name, gap), rules in names.items():
        most, points = gap.largest
        says.append(
            f"Of {gap.points} correct points of {gap.networks} networks under {symbol(gap.norm)}, "
            f"{percent(rate(gap.more, gap.points))} % stood under the preset {name} of {' and '.join(rules)} that the "
            f"rules break{_one_network(gap, most)}."
        )
        rows.append(
            (
                ", ".join(rules),
                name,
                symbol(gap.norm),
                f"{gap.more} of {gap.points}",
                f"{most} of {points} ({gap.network})",
            )
        )
    if says:
        says.append("These were measured once, on networks chosen to be hard, and are kept with the rules.")
    header = ("Rules", "Preset", "Norm", "Points too many", "At most, of one network")
    return answered("presets", "How far are fast figures from those of the whole rules?", says, header, rows)


def _one_network(gap: Gap, most: int) -> str:
    return f", {most} of the {gap.more} on {gap.network} alone" if 2 * most > gap.more > most else ""

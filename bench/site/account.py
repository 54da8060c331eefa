"""The tables of an entry's page: what it is compared with, what attacked it, where everything comes from."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from bench.protocol.load import Protocol
from bench.site.cost import machine
from bench.site.entries import Catalogue, Entry
from bench.site.figures import duration, interval, metric, p_value, percent, signed, thousands, threat
from bench.site.tables import Cell, relatives, remarks
from bench.submission.carried import carried
from bench.submission.files import WEIGHTS_FILE
from bench.submission.paired import Paired
from bench.submission.schema import ClaimRecord, CostRecord, LatencyRecord, Normalisation, PruningRecord
from bench.submission.score import rate, retention, wilson
from bench.threats import Norm


def tables(catalogue: Catalogue, entry: Entry) -> list[dict[str, Any]]:
    """Return what an entry's page tells in tables, less the empty ones.

    Each has a title, an anchor, what it says, a header, which of its columns hold numbers, and rows of texts and cells.
    """
    made = [
        _family(catalogue, entry),
        _against_parent(catalogue, entry),
        _claimed(entry),
        _attacks(entry),
        _scenarios(entry),
        *_provenance(catalogue, entry),
    ]
    return [table for table in made if table["rows"]]


def _family(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    members = relatives(catalogue, entry)
    parent = catalogue.parents.get(entry, entry)
    says = "Everything that was measured of this network, sparser downwards."
    if len(members) <= len(catalogue.children(parent)):
        whom = "Of each band of sparsity" if entry is parent else "What was pruned by the same method, and of its band"
        says = f"{whom} the five that survive most, sparser downwards; the boards have all."
    norms = [rule.norm for rule in entry.protocol.threats if any(rule.norm in member.robust for member in members)]
    lines: list[list[str | Cell]] = []
    for member in members:
        name = member.variant if member is not entry else f"{member.variant}, this entry"
        pruning, total = member.result.pruning, member.result.data.points
        line: list[str | Cell] = [Cell(name, link=member.address)]
        line += [percent(member.sparsity), metric(pruning.nonzero)]
        line += [percent(rate(member.result.clean.correct, total))]
        line += [_stands(member, norm) for norm in norms]
        lines.append([*line, "; ".join(remarks(catalogue, member))])
    robust = [f"{threat(norm, entry.protocol.threat(norm).epsilon)} %" for norm in norms]
    return {
        "title": f"{parent.submission.name}, dense and pruned",
        "anchor": "family",
        "says": says,
        "header": ["entry", "sparsity %", "weights left", "clean %", *robust, "notes"],
        "numbers": set(range(1, 4 + len(norms))),
        "rows": lines,
    }


def _stands(member: Entry, norm: Norm) -> str:
    if norm not in member.robust:
        return "not measured"
    return "withheld" if member.withheld else percent(rate(member.survivors(norm), member.result.data.points))


def _against_parent(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    parent, lines = catalogue.parents.get(entry), []
    if parent is not None and not entry.withheld and not parent.withheld:
        lines.append(_pair("clean", Paired.of(entry.correct, parent.correct), None))
        for norm in (norm for norm in entry.robust if norm in parent.robust):
            pair = Paired.of(entry.robust[norm], parent.robust[norm])
            kept = retention(entry.survivors(norm), parent.survivors(norm))
            lines.append(_pair(threat(norm, entry.protocol.threat(norm).epsilon), pair, kept))
    name = parent.title if parent else ""
    return {
        "title": "Against the dense parent",
        "anchor": "parent",
        "says": f"Point by point against {name}; exact McNemar test with the 95 % interval that goes with it.",
        "header": [
            "threat model",
            "difference, points",
            "95 % interval",
            "only here",
            "only parent",
            "p",
            "verdict",
            "retention %",
        ],
        "numbers": {1, 2, 3, 4, 5, 7},
        "rows": lines,
    }


def _pair(name: str, pair: Paired, kept: Any) -> list[str]:
    ends = pair.interval
    return [
        name,
        signed(pair.difference),
        f"{signed(ends.low)} to {signed(ends.high)}",
        thousands(pair.first),
        thousands(pair.second),
        p_value(pair.p_value),
        pair.verdict,
        "–" if kept is None else percent(kept),
    ]


def _claimed(entry: Entry) -> dict[str, Any]:
    pruning, lines = entry.result.pruning, []
    if pruning.method is not None:
        claim = pruning.claim or ClaimRecord(sparsity=None, structure=None)
        said = "not said" if claim.sparsity is None else percent(Fraction(claim.sparsity))
        lines.append(["sparsity %", said, percent(entry.sparsity)])
        lines.append(["structure", claim.structure or "not said", pruning.structure])
    return {
        "title": "Claimed and measured",
        "anchor": "claimed",
        "says": f"Handed in as a file, pruned by {pruning.method} as its authors say. Measured here, tensor by tensor, "
        "against the dense parent.",
        "header": ["what", "claimed", "measured"],
        "numbers": {1, 2},
        "rows": lines,
    }


def _attacks(entry: Entry) -> dict[str, Any]:
    lines = []
    for record in entry.result.threats if not entry.withheld else ():
        for attack in record.attacks:
            counts = (attack.attempted, attack.broken, attack.rejected, attack.forwards, attack.backwards)
            lines.append([threat(record.norm, record.epsilon), attack.name, *map(thousands, counts)])
        if beyond := record.robust - record.best_known:
            elsewhere = ["witnesses from elsewhere", "–", thousands(beyond), "–", "–", "–"]
            lines.append([threat(record.norm, record.epsilon), *elsewhere])
        if later := record.best_known - entry.survivors(record.norm):
            found = ["challenges and re-runs", "–", thousands(later), "–", "–", "–"]
            lines.append([threat(record.norm, record.epsilon), *found])
    return {
        "title": "The cascade",
        "anchor": "cascade",
        "says": (
            "Each attack runs on the points that the cascade has not broken; rejected candidates fool from outside the "
            "ball. Witnesses from elsewhere (other norms, the parent, checks) take what the cascade left; what a "
            "challenge or a re-run broke later counts, too."
        ),
        "header": ["threat model", "attack", "attempted", "broken", "rejected", "forward passes", "backward passes"],
        "numbers": {2, 3, 4, 5, 6},
        "rows": lines,
    }


def _budgets(protocol: Protocol) -> str:
    """Return how often a query attack asks about points that fell before its turn, where the rules say so."""
    said = []
    for name, settings in protocol.black_box.items():
        said.append(f"{name} with {', '.join(f'{key} {value}' for key, value in settings.items())}")
    return f" ({'; '.join(said)} on points that fell before its turn)" if said else ""


def _scenarios(entry: Entry) -> dict[str, Any]:
    total, lines = entry.result.data.points, []
    for name, record in sorted(entry.result.scenarios.items()) if not entry.withheld else ():
        for norm, robust in sorted(record.robust.items()):
            ends = interval(wilson(robust, total))
            worst = percent(rate(entry.survivors(norm), total)) if norm in entry.robust else "–"
            lines.append(
                [name, threat(norm, entry.protocol.threat(norm).epsilon), percent(rate(robust, total)), ends, worst]
            )
    return {
        "title": "When the adversary knows less",
        "anchor": "scenarios",
        "says": "Transfer: the nearest images that were found on the dense parent, replayed. Black-box: queries only"
        f"{_budgets(entry.protocol)}. Last column: the worst case.",
        "header": ["scenario", "threat model", "robust %", "95 % interval", "white-box %"],
        "numbers": {2, 3, 4},
        "rows": lines,
    }


def _provenance(catalogue: Catalogue, entry: Entry) -> Iterator[dict[str, Any]]:
    result, pruning, submission = entry.result, entry.result.pruning, entry.submission
    model, parent = result.model, catalogue.parents.get(entry)
    lines = [
        ["authors", ", ".join(submission.authors)],
        ["licence", submission.licence],
        ["weights", Cell(submission.weights.locator, link=_place(entry))],
        ["sha256 of the weights file", model.file_sha256 or "none: the weights are not a file of their own"],
        ["sha256 of the tensors", model.weights_sha256],
        ["bytes", thousands(submission.weights.bytes)],
        ["network", f"{model.ref}, {model.architecture}"],
        ["input normalisation", _normalisation(model.normalisation)],
        ["dense parent", Cell(model.parent or "none: this is a dense network", link=parent.address if parent else "")],
        ["sha256 of the parent's tensors", model.parent_sha256 or "none"],
        _made(pruning),
        ["regime", pruning.regime or "not said"],
        ["target sparsity", pruning.asked or "none"],
        ["zeros", f"{thousands(pruning.zeros)} of {thousands(pruning.prunable)} prunable weights"],
        ["compression", f"{_times(entry.compression)}; {_times(entry.connected_compression)} without dead weights"],
        ["latency", _latency(result.cost.latency)],
        ["MACs", f"{thousands(pruning.nonzero_macs)} non-zero, {thousands(pruning.macs)} in all"],
        ["size", f"{thousands(pruning.bytes_plain)} bytes plain, {thousands(pruning.bytes_packed)} packed"],
        ["protocol", f"{result.protocol.name}, digest {result.protocol.digest}"],
        ["data", f"{result.data.points} points of {result.data.name} {result.data.split}, digest {result.data.digest}"],
        ["engine and seed", f"{result.engine}, {result.seed}"],
        ["batch size", "free: verdicts do not depend on it" if result.batch_size is None else str(result.batch_size)],
        ["cost", _cost(result.cost)],
        ["energy", _energy(result.cost)],
        ["extra training data", "yes" if submission.extra_data else "no"],
    ]  # fmt: skip
    lines += [["kept whole", ", ".join(pruning.keep)]] if pruning.keep else []
    lines += [["description", submission.description]] if submission.description else []
    yield {"title": "Provenance", "anchor": "provenance", "says": "", "header": [], "numbers": set(), "rows": lines}
    environment = [[name, value] for name, value in sorted(result.environment.items())]
    yield {
        "title": "Environment",
        "anchor": "environment",
        "says": "",
        "header": [],
        "numbers": set(),
        "rows": environment,
    }
    flags = [
        [flag.check.replace("-", " "), flag.level.value, _figure(flag.figure), _figure(flag.threshold), flag.says]
        for flag in result.flags
    ]
    header = ["check", "level", "figure", "threshold", "in words"]
    yield {"title": "Flags", "anchor": "flags", "says": "", "header": header, "numbers": {2, 3}, "rows": flags}


def _place(entry: Entry) -> str:
    """Return where the weights are; empty where a recipe rebuilds them."""
    if carried(entry.submission):
        return f"{entry.address.removesuffix('index.html')}{WEIGHTS_FILE}"
    return entry.submission.weights.address or ""


def _made(pruning: PruningRecord) -> list[str]:
    if pruning.recipe is None:
        return ["method", f"{pruning.method}; {pruning.structure}"]
    return ["recipe", f"{pruning.recipe} (version {pruning.version}), {pruning.structure}, scope {pruning.scope}"]


def _times(rate: Fraction | None) -> str:
    return "nothing is left" if rate is None else f"{float(rate):.2f}×"


def _latency(timed: LatencyRecord | None) -> str:
    if timed is None:
        return "not timed"
    clock = "of one thread" if timed.clock == "processor" else "of the accelerator"
    network, faster = timed.network, timed.times_faster
    times = f"{duration(network.forward[1])} an image forward, {duration(network.both[1])} forward and back"
    beside = "zeros alone make it no faster" if faster is None else f"{faster:.2f}× faster to attack than its parent"
    return f"{times}, {timed.batch} at a time, by the time {clock}; {beside}"


def _cost(cost: CostRecord) -> str:
    used = f"{thousands(cost.forwards)} and {thousands(cost.backwards)} passes forward and backward"
    return f"{used} in {cost.seconds:.0f} s on {machine(cost.machine)}"


def _energy(cost: CostRecord) -> str:
    meters = {"rapl": "the processor's packages", "nvml": "the accelerator"}
    read = [f"{metric(round(meter.joules))}J by {meters[meter.meter]}" for meter in cost.energy]
    return ", ".join(read) + ", all work on them included" if read else "no meter could be read"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _normalisation(given: Normalisation | None) -> str:
    if given is None:
        return "the model's own"
    mean, std = (", ".join(map(repr, values)) for values in (given.mean, given.std))
    return f"mean {mean}; standard deviation {std}"

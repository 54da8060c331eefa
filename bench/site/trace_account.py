"""The numbers in the tables of an entry's page, in the order of the page, traced to the values they are made of."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from bench.site.entries import Catalogue, Entry
from bench.site.figures import duration, metric, p_value, percent, signed, thousands
from bench.site.reproduce import commands
from bench.site.sources import COUNT, INTERVAL, PLAIN, SHARE, WORDS, Field, Files, Formula, Value
from bench.site.tables import relatives, remarks
from bench.submission.paired import Paired
from bench.submission.score import rate, retention

_METRIC = Formula("the count, to three digits", metric)
_REST = Formula("first − second", lambda first, second: thousands(first - second))
_G = Formula("to six digits", lambda figure: f"{figure:g}")
_ASKED = Formula("as it was claimed, in percent", lambda share: percent(Fraction(share)))
_PAIRED = (
    ("difference", "(first alone − second alone) / points, in percent", lambda pair: signed(pair.difference)),
    ("interval", "the 95 % interval that goes with the exact McNemar test", lambda pair: (
        f"{signed(pair.interval.low)} to {signed(pair.interval.high)}")),
    ("here", "points that stand in the first alone", lambda pair: thousands(pair.first)),
    ("there", "points that stand in the second alone", lambda pair: thousands(pair.second)),
    ("p", "exact McNemar test", lambda pair: p_value(pair.p_value)),
)  # fmt: skip


def fields(catalogue: Catalogue, entry: Entry, files: Files) -> Iterator[Field]:
    """Yield the fields of the tables, in the order of the page, and of what stands below them."""
    yield from _family(catalogue, entry)
    yield from _parent(catalogue, entry, files)
    if entry.result.pruning.method is not None:
        yield from _claimed(entry, files)
    if not entry.withheld:
        yield from _cascade(entry, files)
        yield from _scenarios(entry, files)
    yield from _provenance(entry, files)
    for name in sorted(entry.result.environment):
        yield Field(f"environment.{name}", WORDS, (files.result("environment", name),))
    for number, flag in enumerate(entry.result.flags):
        for key in ("figure", "threshold"):
            if getattr(flag, key) is not None:
                yield Field(f"flags.{number + 1}.{key}", _G, (files.result("flags", number, key),))
        yield Field(f"flags.{number + 1}.says", WORDS, (files.result("flags", number, "says"),))
    told = tuple(files.result("pruning", name) for name in ("recipe", "target", "regime"))
    told += (files.result("model", "ref"), files.result("protocol", "name"), files.result("batch_size"))
    told += (files.people("weights", "locator"), files.result("model", "file_sha256"))
    for number, line in enumerate(commands(catalogue, entry).splitlines()):
        spelt = Formula("the command that asks for it again", lambda *_, line=line: line)
        yield Field(f"reproduce.{number + 1}", spelt, told)
    for version in catalogue.versions(entry):
        if version is not entry:
            yield Field(f"history.{version.id}.date", WORDS, (Files(version).people("date"),))
            yield Field(f"history.{version.id}.id", WORDS, (Files(version).people("id"),))


def _family(catalogue: Catalogue, entry: Entry) -> Iterator[Field]:
    members = relatives(catalogue, entry)
    norms = [rule.norm for rule in entry.protocol.threats if any(rule.norm in one.robust for one in members)]
    for one in members:
        files, stem = Files(one), f"family.{one.id}"
        zeros, points = (
            (files.result("pruning", "zeros"), files.result("pruning", "prunable")),
            files.result("data", "points"),
        )
        mine = ", this entry" if one is entry else ""
        if not one.dense:
            variant = Formula("the method, and second / third in percent", lambda method, *of, mine=mine: (
                f"{method}, {percent(rate(*of))} %{mine}"))  # fmt: skip
            yield Field(f"{stem}.variant", variant, (files.people("method"), *zeros))
        yield Field(f"{stem}.sparsity", SHARE, zeros)
        yield Field(f"{stem}.weights", _METRIC, (files.result("pruning", "nonzero"),))
        yield Field(f"{stem}.clean", SHARE, (files.result("clean", "correct"), points))
        for norm in norms if not one.withheld else ():
            if norm in one.robust:
                yield Field(f"{stem}.robust.{norm}", SHARE, (files.stands(norm), points))
        notes = "; ".join(remarks(catalogue, one))
        spelt = Formula("flags, and why there is no rank, in words", lambda *_, notes=notes: notes)
        yield Field(f"{stem}.notes", spelt, (files.result("flags"), *zeros))


def _parent(catalogue: Catalogue, entry: Entry, files: Files) -> Iterator[Field]:
    parent = catalogue.parents.get(entry)
    if parent is None or entry.withheld or parent.withheld:
        return
    other = Files(parent)
    where = "points with prediction = label"
    clean = (files.counted(where, files.correct()), other.counted(where, other.correct()))
    yield from _pair("parent.clean", clean)
    for norm in (norm for norm in entry.robust if norm in parent.robust):
        counts = (files.stands(norm), other.stands(norm))
        bits = (files.standing(norm), other.standing(norm))
        yield from _pair(f"parent.{norm}", tuple(v._replace(value=b) for v, b in zip(counts, bits, strict=True)))
        kept = Formula("first / second, in percent", lambda *of: "–" if (r := retention(*of)) is None else percent(r))
        yield Field(f"parent.{norm}.retention", kept, counts)


def _pair(stem: str, bits: tuple[Value, ...]) -> Iterator[Field]:
    for name, says, spell in _PAIRED:
        made = Formula(says, lambda first, second, spell=spell: spell(Paired.of(first, second)))
        yield Field(f"{stem}.{name}", made, bits)


def _claimed(entry: Entry, files: Files) -> Iterator[Field]:
    claim = entry.result.pruning.claim
    if claim is not None and claim.sparsity is not None:
        yield Field("claimed.sparsity", _ASKED, (files.result("pruning", "claim", "sparsity"),))
    measured = (files.result("pruning", "zeros"), files.result("pruning", "prunable"))
    yield Field("claimed.measured", SHARE, measured)


def _cascade(entry: Entry, files: Files) -> Iterator[Field]:
    for place, record in enumerate(entry.result.threats):
        for number, attack in enumerate(record.attacks):
            stem = f"cascade.{record.norm}.{attack.name}"
            for key in ("attempted", "broken", "rejected", "forwards", "backwards"):
                yield Field(f"{stem}.{key}", COUNT, (files.result("threats", place, "attacks", number, key),))
        if record.robust != record.best_known:
            counts = (files.result("threats", place, "robust"), files.result("threats", place, "best_known"))
            yield Field(f"cascade.{record.norm}.elsewhere", _REST, counts)


def _scenarios(entry: Entry, files: Files) -> Iterator[Field]:
    points = files.result("data", "points")
    for name, record in sorted(entry.result.scenarios.items()):
        for norm in sorted(record.robust):
            stem, count = f"scenarios.{name}.{norm}", (files.result("scenarios", name, "robust", norm.value), points)
            yield Field(stem, SHARE, count)
            yield Field(f"{stem}.interval", INTERVAL, count)
            if norm in entry.robust:
                yield Field(f"{stem}.white-box", SHARE, (files.stands(norm), points))


def _provenance(entry: Entry, files: Files) -> Iterator[Field]:
    """Yield the rows of the table in its order; rows without a number, too."""
    for name, spell, values in (*_network(entry, files), *_pruned(entry, files), *_measured(entry, files)):
        yield Field(f"provenance.{name}", spell, values)


_Row = tuple[str, Formula, tuple[Value, ...]]


def _words(spell: Any) -> Formula:
    return Formula("the values, in words", spell)


def _network(entry: Entry, files: Files) -> Iterator[_Row]:
    model = entry.result.model
    yield "authors", _words(", ".join), (files.people("authors"),)
    yield "licence", WORDS, (files.people("licence"),)
    yield "weights", WORDS, (files.people("weights", "locator"),)
    if model.file_sha256:
        yield "file", WORDS, (files.result("model", "file_sha256"),)
    yield "tensors", WORDS, (files.result("model", "weights_sha256"),)
    yield "bytes", COUNT, (files.people("weights", "bytes"),)
    yield "network", _words("{}, {}".format), (files.result("model", "ref"), files.result("model", "architecture"))
    if model.normalisation is not None:
        said = _words(lambda mean, std: f"mean {_listed(mean)}; standard deviation {_listed(std)}")
        yield "normalisation", said, tuple(files.result("model", "normalisation", key) for key in ("mean", "std"))
    if model.parent:
        yield "parent", WORDS, (files.result("model", "parent"),)
    if model.parent_sha256:
        yield "parent-tensors", WORDS, (files.result("model", "parent_sha256"),)


def _listed(values: list[float]) -> str:
    return ", ".join(map(repr, map(float, values)))


def _pruned(entry: Entry, files: Files) -> Iterator[_Row]:
    def pruning(*names: str) -> tuple[Value, ...]:
        return tuple(files.result("pruning", name) for name in names)

    if entry.result.pruning.recipe is not None:
        made = _words("{} (version {}), {}, scope {}".format)
        yield "recipe", made, pruning("recipe", "version", "structure", "scope")
    else:
        yield "method", _words("{}; {}".format), pruning("method", "structure")
    if entry.result.pruning.regime:
        yield "regime", WORDS, pruning("regime")
    if entry.result.pruning.asked:
        asked = ("target",) if entry.result.pruning.claim is None else ("claim", "sparsity")
        yield "target", WORDS, (files.result("pruning", *asked),)
    zeros = _words(lambda zeros, all_: f"{thousands(zeros)} of {thousands(all_)} prunable weights")
    yield "zeros", zeros, pruning("zeros", "prunable")
    rates = Formula("first / (first − second); first / third", lambda all_, zeros, alive: (
        f"{_times(all_, all_ - zeros)}; {_times(all_, alive)} without dead weights"))  # fmt: skip
    yield "compression", rates, pruning("prunable", "zeros", "connected")
    if entry.result.cost.latency is not None:
        yield "latency", _words(_latency), (files.result("cost", "latency"),)
    macs = _words(lambda nonzero, all_: f"{thousands(nonzero)} non-zero, {thousands(all_)} in all")
    yield "macs", macs, pruning("nonzero_macs", "macs")
    size = _words(lambda plain, packed: f"{thousands(plain)} bytes plain, {thousands(packed)} packed")
    yield "size", size, pruning("bytes_plain", "bytes_packed")


def _times(whole: int, left: int) -> str:
    return f"{whole / left:.2f}×" if left else "nothing is left"


def _latency(timed: dict[str, Any]) -> str:
    network, clock = timed["network"], "of one thread" if timed["clock"] == "processor" else "of the accelerator"
    beside = "zeros alone make it no faster"
    if timed.get("parent"):
        beside = f"{timed['parent']['both'][1] / network['both'][1]:.2f}× faster to attack than its parent"
    times = f"{duration(network['forward'][1])} an image forward, {duration(network['both'][1])} forward and back"
    return f"{times}, {timed['batch']} at a time, by the time {clock}; {beside}"


def _measured(entry: Entry, files: Files) -> Iterator[_Row]:
    protocol = tuple(files.result("protocol", key) for key in ("name", "digest"))
    yield "protocol", _words("{}, digest {}".format), protocol
    data = tuple(files.result("data", key) for key in ("points", "name", "split", "digest"))
    yield "data", _words("{} points of {} {}, digest {}".format), data
    yield "engine", _words("{}, {}".format), (files.result("engine"), files.result("seed"))
    if entry.result.batch_size is not None:
        yield "batch-size", PLAIN, (files.result("batch_size"),)
    yield (
        "cost",
        _words(_cost),
        tuple(files.result("cost", key) for key in ("forwards", "backwards", "seconds", "machine")),
    )
    if entry.result.cost.energy:
        yield "energy", _words(_energy), (files.result("cost", "energy"),)
    if entry.result.pruning.keep:
        yield "keep", _words(", ".join), (files.result("pruning", "keep"),)
    if entry.submission.description:
        yield "description", WORDS, (files.people("description"),)


def _cost(forwards: int, backwards: int, seconds: float, machine: dict[str, Any]) -> str:
    threads, name = machine.get("threads"), machine.get("processor") or "a processor that was not recorded"
    name += "" if threads is None else f", {threads} thread{'s' if threads > 1 else ''}"
    passes = f"{thousands(forwards)} and {thousands(backwards)} passes forward and backward"
    return f"{passes} in {seconds:.0f} s on {machine.get('accelerator') or name}"


def _energy(meters: list[dict[str, Any]]) -> str:
    names = {"rapl": "the processor's packages", "nvml": "the accelerator"}
    read = [f"{metric(round(meter['joules']))}J by {names[meter['meter']]}" for meter in meters]
    return ", ".join(read) + ", all work on them included"

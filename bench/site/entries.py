"""Which submissions the site shows, how they relate, and who is ranked."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import chain
from pathlib import Path

from bench.protocol.load import Protocol, load
from bench.site.figures import band_label, percent
from bench.site.folders import examined
from bench.site.store import Store
from bench.submission.challenge import Challenge
from bench.submission.check import Folder, refuse
from bench.submission.literature import FOLDER, Literature, examine_literature
from bench.submission.paired import Paired
from bench.submission.points import Bits
from bench.submission.ranks import Contender, Place, band, order, places
from bench.submission.relations import kin
from bench.submission.schema import Level, Result, Submission, VerificationLevel
from bench.submission.score import rate
from bench.submission.verification import Verification
from bench.submission.withdrawal import Withdrawal
from bench.threats import Norm

DENSE = "dense reference"
"""Label of the band whose entries carry no rank, and the reason why."""
_LOWEST = band_label(0)
_WAITING = {
    VerificationLevel.CLAIMED: "quoted from a paper, not measured here",
    VerificationLevel.SELF_REPORTED: "nobody else has measured it yet",
    VerificationLevel.CHECKED: "recomputed in part, not attacked again in full",
}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One submission, with what is needed to show it."""

    path: Path
    protocol: Protocol
    folder: Folder
    correct: Bits
    robust: dict[Norm, Bits]
    """Which points no verified witness breaks, per norm that the entry brings: what boards rank by."""
    counts: dict[Norm, int]
    """How many these are."""
    sparsity: Fraction
    """Measured zeros over prunable weights."""
    band: str
    """Label of the band of measured sparsity."""
    withheld: bool
    """A reliability check forbids publishing the robust accuracy."""
    older: tuple[Folder, ...] = ()
    """Entries of the same weights that it replaces."""
    digest: str = ""
    """Of the files in its folder."""

    @property
    def id(self) -> str:
        """Name of the folder, unique within a protocol."""
        return self.folder.submission.id

    @property
    def submission(self) -> Submission:
        """What people say."""
        return self.folder.submission

    @property
    def result(self) -> Result:
        """What the machine measured."""
        return self.folder.result

    @property
    def verification(self) -> Verification | None:
        """What whoever measured again says."""
        return self.folder.verification

    @property
    def challenges(self) -> tuple[Challenge, ...]:
        """What strangers found against it and a verifier confirmed, oldest first."""
        return tuple(sorted(self.folder.challenges, key=lambda one: (one.date, one.name)))

    @property
    def withdrawal(self) -> Withdrawal | None:
        """Who took it from the boards, and why; None for one that stands."""
        return self.folder.withdrawal

    @property
    def level(self) -> VerificationLevel:
        """How far others have checked this entry."""
        return self.verification.level if self.verification else VerificationLevel.SELF_REPORTED

    @property
    def compression(self) -> Fraction | None:
        """One over the density of the prunable weights; None where nothing is left."""
        pruning = self.result.pruning
        left = pruning.prunable - pruning.zeros
        return Fraction(pruning.prunable, left) if left else None

    @property
    def connected_compression(self) -> Fraction | None:
        """The same over the weights that lie on a path from the image to the logits; None where there is no path."""
        pruning = self.result.pruning
        return Fraction(pruning.prunable, pruning.connected) if pruning.connected else None

    @property
    def variant(self) -> str:
        """The method, and the sparsity it reached: what tells entries of one network apart."""
        method = self.submission.method
        return method if self.dense else f"{method}, {percent(self.sparsity)} %"

    @property
    def title(self) -> str:
        """Network and variant in one line."""
        return f"{self.submission.name}, {self.variant}"

    @property
    def dense(self) -> bool:
        """Nothing was pruned."""
        return self.result.pruning.structure == "dense"

    @property
    def channels(self) -> bool:
        """Channels were removed."""
        return self.result.pruning.structure == "channel"

    @property
    def macs_removed(self) -> Fraction:
        """Share of the parent's multiply-accumulates that the network no longer has."""
        pruning = self.result.pruning
        return 1 - rate(pruning.macs, pruning.parent_macs) if pruning.parent_macs else Fraction(0)

    @property
    def address(self) -> str:
        """Where its page lies on the site."""
        return f"entries/{self.protocol.name}/{self.id}/index.html"

    def survivors(self, norm: Norm) -> int:
        """Return the robust count under this norm, as best known."""
        return self.counts[norm]

    def alone(self, norm: Norm) -> int | None:
        """Return what the norm's own cascade leaves, where other witnesses take more; None where none does."""
        threat = self.result.threat(norm)
        if threat is None or threat.robust == self.survivors(norm):
            return None
        return threat.robust


@dataclass(frozen=True, slots=True)
class Band:
    """Entries of about the same size, best first, unranked ones where they would stand."""

    label: str
    entries: tuple[Entry, ...]
    places: dict[Entry, Place]
    """Of those that carry a rank; in the lowest band, as of dense networks, none does."""

    @property
    def leader(self) -> Entry | None:
        """The first ranked entry, or where nothing is ranked the first one that is alive."""
        ranked = next((entry for entry in self.entries if entry in self.places), None)
        return ranked or next(
            (one for one in self.entries if not (one.withheld or one.result.collapsed or one.withdrawal)), None
        )


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """The entries of one protocol under one threat model, best first, and the bands in which they are ranked."""

    protocol: Protocol
    norm: Norm
    epsilon: Fraction
    entries: tuple[Entry, ...]
    bands: tuple[Band, ...]
    """By measured sparsity, lowest first; dense networks last."""
    channels: tuple[Band, ...] = ()
    """Networks with channels removed, by the share of multiply-accumulates that went with them."""
    places: dict[Entry, Place] = field(default_factory=dict)
    """Each within its band of sparsity."""

    @property
    def address(self) -> str:
        """Where it lies on the site."""
        return f"boards/{self.protocol.name}-{self.norm.lower()}.html"

    @property
    def reference(self) -> Band | None:
        """The dense networks."""
        return next((band for band in self.bands if band.label == DENSE), None)

    def holds(self, entry: Entry) -> bool:
        """Tell whether an entry stands on it."""
        return entry.protocol is self.protocol and self.norm in entry.robust

    def band(self, entry: Entry) -> Band:
        """Return the band of sparsity that an entry stands in."""
        return next(found for found in self.bands if found.label == entry.band)


@dataclass(slots=True, eq=False)
class Catalogue:
    """Everything that is published."""

    by_protocol: dict[str, list[Entry]]
    parents: dict[Entry, Entry] = field(default_factory=dict)
    pruned: dict[Entry, list[Entry]] = field(default_factory=dict)
    """Parent to the entries that were pruned from it."""
    superseded: dict[Entry, Entry] = field(default_factory=dict)
    """Entry to the newer one that replaces it."""
    boards: list[Board] = field(default_factory=list)
    literature: list[Literature] = field(default_factory=list)
    """Quoted figures, by source; they stand on pages of their own."""

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over all entries, protocol by protocol, by id."""
        for entries in self.by_protocol.values():
            yield from entries

    @property
    def protocols(self) -> list[Protocol]:
        """The protocols that have entries."""
        return [entries[0].protocol for entries in self.by_protocol.values()]

    @property
    def updated(self) -> date | None:
        """The newest date that any submission or verification carries; the site knows no clock."""
        dates = [entry.submission.date for entry in self]
        dates += [entry.verification.date for entry in self if entry.verification]
        dates += [entry.withdrawal.date for entry in self if entry.withdrawal]
        dates += [challenge.date for entry in self for challenge in entry.challenges]
        return max(dates, default=None)

    def children(self, parent: Entry) -> list[Entry]:
        """Return the entries that were pruned from this one."""
        return self.pruned.get(parent, [])

    def versions(self, entry: Entry) -> list[Entry]:
        """Return the entry with all that it replaces and all that replace it, oldest first."""
        found, older = [entry], {new: old for old, new in self.superseded.items()}
        while (before := older.get(found[0])) is not None and before not in found:
            found.insert(0, before)
        while (after := self.superseded.get(found[-1])) is not None and after not in found:
            found.append(after)
        return found

    def current(self, entry: Entry) -> bool:
        """Tell whether an entry is neither superseded nor withdrawn."""
        return entry not in self.superseded and entry.withdrawal is None

    def unranked(self, entry: Entry) -> str | None:
        """Return why an entry carries no rank, in words; None for one that does."""
        if entry.withdrawal is not None:
            return f"withdrawn by {entry.withdrawal.by} on {entry.withdrawal.date}"
        if entry in self.superseded:
            return f"superseded by {self.superseded[entry].id}"
        if entry.result.collapsed:
            return "collapsed: too little accuracy is left to speak of robustness"
        if entry.withheld:
            return "withheld: a reliability check failed"
        if entry.dense:
            return f"{DENSE}: shown beside what was pruned from it"
        if not entry.level.ranked:
            return f"{entry.level}: {_WAITING[entry.level]}"
        if entry.band == _LOWEST and not (entry.channels and band(entry.macs_removed)):
            return f"{_LOWEST} pruned: too little to be told from a dense network"
        return None


def read(submissions: Path, store: Store | None = None) -> Catalogue:
    """Read ``submissions/<protocol>/<entry-id>/``, relate the entries, and read ``submissions/literature/<id>.toml``.

    Raises:
        SubmissionError: if any folder has a problem; a site is built from valid submissions or not at all.
    """
    there, literature = examined(submissions, store), []
    found = dict(there.problems)
    for path in sorted(path for path in submissions.glob(f"{FOLDER}/*") if not path.is_dir()):
        source, problems = examine_literature(path)
        found[f"{FOLDER}/{path.name}"] = [problem.removeprefix(f"{path.name}: ") for problem in problems]
        literature += [source] if source is not None else []
    refuse(submissions, {name: problems for name, problems in found.items() if problems})
    by_protocol = {
        name: [
            _entry(submissions / name / identity, folder, folder.older(folders), there.digests[f"{name}/{identity}"])
            for identity, folder in folders.items()
        ]
        for name, folders in there.sound.items()
    }
    catalogue = Catalogue(by_protocol, literature=literature)
    for entries in by_protocol.values():
        _relate(catalogue, entries)
        catalogue.boards += _boards(catalogue, entries)
    return catalogue


def paired(first: Entry, second: Entry, norm: Norm) -> Paired:
    """Compare two entries of the same protocol point by point."""
    return Paired.of(first.robust[norm], second.robust[norm])


def _entry(place: Path, folder: Folder, older: tuple[Folder, ...], digest: str) -> Entry:
    protocol, pruning = load(folder.result.protocol.name), folder.result.pruning
    correct = folder.points.correct[folder.points.id.argsort()]
    robust = folder.standing(chain(*(one.signed for one in older)))
    sparsity = rate(pruning.zeros, pruning.prunable)
    label = DENSE if pruning.structure == "dense" else band_label(band(sparsity))
    counts = {norm: int(bits.sum()) for norm, bits in robust.items()}
    withheld = any(flag.level is Level.WITHHOLD for flag in folder.result.flags)
    return Entry(place, protocol, folder, correct, robust, counts, sparsity, label, withheld, older, digest)


def _relate(catalogue: Catalogue, entries: list[Entry]) -> None:
    by_id = {entry.id: entry for entry in entries}
    dense: dict[str, Entry] = {}
    for entry in entries:
        if entry.submission.supersedes in by_id:
            catalogue.superseded[by_id[entry.submission.supersedes]] = entry
        if entry.dense:
            dense.setdefault(entry.result.model.weights_sha256, entry)
    current = {key: _newest(catalogue, entry) for key, entry in dense.items()}
    for entry in entries:
        parent = current.get(entry.result.model.parent_sha256 or "")
        if parent is not None and not _may_stand_for(parent, dense[entry.result.model.parent_sha256 or ""], entry):
            parent = None
        if parent is not None and parent is not entry and not entry.dense:
            catalogue.parents[entry] = parent
            catalogue.pruned.setdefault(parent, []).append(entry)


def _may_stand_for(parent: Entry, first: Entry, child: Entry) -> bool:
    """Tell whether a dense entry may be the line that a pruned one is held against.

    It may where somebody else measured it again, where it is one's own, and where the pruned one names it.
    """
    return (
        parent.level.ranked
        or child.submission.parent in {parent.id, first.id}
        or kin(frozenset(parent.submission.authors), frozenset(child.submission.authors))
    )


def _newest(catalogue: Catalogue, entry: Entry) -> Entry:
    """Return the last measurement of an entry's network; what replaced it by another one is not of its line."""
    weights = entry.result.model.weights_sha256
    while (after := catalogue.superseded.get(entry)) is not None and after.result.model.weights_sha256 == weights:
        entry = after
    return entry


def _boards(catalogue: Catalogue, entries: list[Entry]) -> Iterator[Board]:
    """Yield a board for each threat model of a protocol that any of its entries brings."""
    brought = {norm for entry in entries for norm in entry.robust}
    for threat in entries[0].protocol.threats:
        if threat.norm in brought:
            yield _board(catalogue, entries, threat.norm)


def _board(catalogue: Catalogue, entries: list[Entry], norm: Norm) -> Board:
    def describe(entry: Entry) -> Contender:
        return Contender(entry.robust[norm], int(entry.correct.sum()), entry.id)

    def ranking(members: list[Entry]) -> list[Entry]:
        return [entry for entry in members if not catalogue.unranked(entry)]

    def banded(members: list[Entry], share: Callable[[Entry], Fraction]) -> list[Band]:
        sorted_in: dict[int, list[Entry]] = defaultdict(list)
        for entry in members:
            sorted_in[band(share(entry))].append(entry)
        return [
            Band(band_label(number), tuple(inside), places(ranking(inside) if number else [], describe))
            for number, inside in sorted(sorted_in.items())
        ]

    shown = sorted((one for one in entries if norm in one.robust), key=lambda one: (one.withheld, order(describe(one))))
    bands = banded([entry for entry in shown if not entry.dense], lambda entry: entry.sparsity)
    channels = banded([entry for entry in shown if entry.channels], lambda entry: entry.macs_removed)
    ranked = {entry: place for found in bands for entry, place in found.places.items()}
    dense = tuple(entry for entry in shown if entry.dense)
    bands += [Band(DENSE, dense, {})] if dense else []
    protocol = entries[0].protocol
    epsilon = protocol.threat(norm).epsilon
    return Board(protocol, norm, epsilon, tuple(shown), tuple(bands), tuple(channels), ranked)

"""What each page shows: the contexts that the templates print."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.site import literature, paging, plots
from bench.site.account import tables
from bench.site.downloads import badge, bibtex, changes, published
from bench.site.entries import Band, Board, Catalogue, Entry
from bench.site.figures import counted, interval, metric, percent, threat
from bench.site.gallery import gallery
from bench.site.reproduce import commands
from bench.site.tables import doubts
from bench.submission.schema import VerificationLevel
from bench.submission.score import rate, wilson
from bench.submission.verifiers import listed, same, signer

_VERIFIED = {
    VerificationLevel.CLAIMED: "Quoted from a paper; nothing was measured here.",
    VerificationLevel.SELF_REPORTED: "Measured by its authors; nobody else has measured it again yet.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page before it is printed."""

    address: str
    template: str
    context: dict[str, Any]
    section: str = ""
    """The address that the navigation marks as current."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Scripts that belong to this page, by address."""


def home(catalogue: Catalogue) -> Page:
    """Return the first page."""
    grouped = [
        (protocol, [_card(board) for board in catalogue.boards if board.protocol is protocol])
        for protocol in catalogue.protocols
    ]
    news = [change._asdict() for change in changes(catalogue)[:6]]
    drawn = [plots.pareto(catalogue, catalogue.boards[0], "density", "home", apart=True)] if catalogue.boards else []
    context = {
        "boards": grouped,
        "again": _again(catalogue),
        "changes": news,
        "figures": drawn,
        "literature": literature.cards(catalogue),
    }
    return Page("index.html", "home.html", context, "index.html")


def _card(board: Board) -> dict[str, Any]:
    dense = sum(entry.dense for entry in board.entries)
    return {
        "address": board.address,
        "threat": threat(board.norm, board.epsilon),
        "count": f"{len(board.places)} of {len(board.entries) - dense} pruned networks ranked",
        "bands": [line for band in board.bands if (line := _best(board, band))],
    }


def _best(board: Board, band: Band) -> dict[str, Any] | None:
    """Return the line of a band on a card: what survives there; None where nothing is alive."""
    leader = band.leader
    if leader is None:
        return None
    survivors, points = leader.survivors(board.norm), leader.result.data.points
    return {
        "label": band.label,
        "dense": leader.dense,
        "ranked": leader in band.places,
        "leader": leader.title,
        "robust": percent(rate(survivors, points)),
        "interval": interval(wilson(survivors, points)),
    }


def quoted(catalogue: Catalogue) -> Iterator[Page]:
    """Yield one page per source of quoted figures."""
    for source in catalogue.literature:
        context = literature.context(catalogue, source)
        yield Page(literature.address(source), "literature.html", context, "index.html")


def entry(catalogue: Catalogue, entry: Entry) -> Page:
    """Return the page of an entry."""
    result, pruning = entry.result, entry.result.pruning
    correct, total = result.clean.correct, result.data.points
    standing = [_standing(board, entry) for board in catalogue.boards if board.holds(entry)]
    first = entry.result.threats[0].norm
    told, shown, drawn = tables(catalogue, entry), gallery(entry), plots.entry_figures(catalogue, entry)
    sections = [("figures", "Figures")] if drawn else []
    sections += [("witnesses", "Witnesses")] if shown else []
    sections += [(table["anchor"], table["title"]) for table in told]
    sections += [("reproduce", "Reproduce, cite, link"), ("history", "History")]
    context = {
        "entry": entry,
        "verified": _verified(entry),
        "doubts": doubts(catalogue, entry),
        "clean": {"text": percent(rate(correct, total)), "small": interval(wilson(correct, total))},
        "standing": standing,
        "missing": _missing(entry),
        "sparsity": percent(entry.sparsity),
        "size": f"{metric(pruning.nonzero)} weights left of {metric(pruning.parameters)}",
        "figures": drawn,
        "gallery": shown,
        "tables": told,
        "sections": sections,
        "command": commands(catalogue, entry),
        "bibtex": bibtex(entry),
        "files": published(entry),
        "badge": badge(entry, first)[0],
        "history": _history(catalogue, entry),
    }
    return Page(entry.address, "entry.html", context)


def _standing(board: Board, entry: Entry) -> dict[str, Any]:
    survivors, points = entry.survivors(board.norm), entry.result.data.points
    shown, alone = not entry.withheld, entry.alone(board.norm)
    return {
        "address": paging.holding(board, entry),
        "threat": threat(board.norm, board.epsilon),
        "robust": percent(rate(survivors, points)) if shown else "withheld",
        "interval": interval(wilson(survivors, points)) if shown else "",
        "alone": "" if alone is None or not shown else f"{percent(rate(alone, points))} % by its own cascade",
        "place": place(board, entry),
    }


def _missing(entry: Entry) -> str:
    """Say which threat models of the protocol an entry does not bring."""
    left = [threat(rule.norm, rule.epsilon) for rule in entry.protocol.threats if rule.norm not in entry.robust]
    return (
        f"Not measured under {' and '.join(left)}: an entry may bring any of the protocol's threat models."
        if left
        else ""
    )


def place(board: Board, entry: Entry) -> str:
    """Say in words where an entry stands."""
    band = board.band(entry)
    if entry in band.places:
        return f"rank {band.places[entry]} of {len(band.places)}, {band.label} pruned"
    return "not ranked"


def _verified(entry: Entry) -> str:
    found, more = entry.verification, [*_lowered(entry)]
    if found is None:
        return " ".join([_VERIFIED[entry.level], *more])
    told = [f"By {found.by} on {found.date}."]
    if _own(entry, signer(found, listed()).team):
        told.append("Author and verifier are one team.")
    told += [
        f"Under {again.norm} {counted(len(again.fallen), 'point')} fell that stood before, which the counts leave out."
        for again in found.threats
        if again.fallen
    ]
    return " ".join([*told, *([found.says] if found.says else []), *more])


def _own(entry: Entry, team: str | None) -> bool:
    """Tell whether a verifier's team is among the authors."""
    return team is not None and any(same(team, author) for author in entry.submission.authors)


def _again(catalogue: Catalogue) -> str:
    """Say how many entries were measured again, and how many of these by their authors' own team."""
    ranked = [(entry, entry.verification) for entry in catalogue if entry.verification and entry.level.ranked]
    if not ranked:
        return ""
    verifiers = listed()  # signatures were held when the entries were read, and take their time
    own = sum(any(_own(entry, one.team) for one in verifiers.named(signed.by, signed.date)) for entry, signed in ranked)
    who = "all" if own == len(ranked) else str(own or "none")
    results = counted(len([*catalogue]), "result")
    return f"So far these are {len(ranked)} of {results}, {who} measured again by verifiers of the authors' own team."


def _lowered(entry: Entry) -> Iterator[str]:
    """Yield what challenges took from an entry, and that it was withdrawn."""
    for challenge in entry.challenges:
        counts = ", ".join(f"{len(threat.fallen)} under {threat.norm}" for threat in challenge.threats)
        yield (
            f"The challenge {challenge.name} broke points that stood ({counts}), confirmed by {challenge.by} on "
            f"{challenge.date}; none of them counts."
        )
    for before, signed in ((older, signed) for older in entry.older for signed in older.signed):
        fell = [f"{len(points)} under {norm}" for norm in entry.robust if (points := signed.fallen(norm))]
        if fell:
            yield (
                f"Of {before.submission.id}, which had these weights, points fell ({', '.join(fell)}), as {signed.by} "
                f"signed on {signed.date}; none of them counts here."
            )
    if entry.withdrawal is not None:
        yield f"Withdrawn by {entry.withdrawal.by} on {entry.withdrawal.date}: {entry.withdrawal.reason}"


def _history(catalogue: Catalogue, entry: Entry) -> list[dict[str, Any]]:
    """Return what happened to an entry and to every version before and after it, oldest first."""
    found: list[dict[str, Any]] = [{"date": entry.submission.date, "says": "Submitted.", "address": "", "name": ""}]
    if entry.verification:
        says = f"Verified as {entry.verification.level} by {entry.verification.by}."
        found.append({"date": entry.verification.date, "says": says, "address": "", "name": ""})
    for challenge in entry.challenges:
        says = f"Lowered by the challenge {challenge.name}, confirmed by {challenge.by}."
        found.append({"date": challenge.date, "says": says, "address": "", "name": ""})
    if entry.withdrawal:
        says = f"Withdrawn by {entry.withdrawal.by}."
        found.append({"date": entry.withdrawal.date, "says": says, "address": "", "name": ""})
    versions = catalogue.versions(entry)
    own = versions.index(entry)
    for number, version in enumerate(versions):
        if version is not entry:
            says = "Superseded by" if number > own else "Supersedes what was submitted as"
            link = {"address": version.address, "name": version.id}
            found.append({"date": version.submission.date, "says": says, **link})
    return sorted(found, key=lambda change: str(change["date"]))

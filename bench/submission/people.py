"""What people write of their entry in submission.toml, beyond the bounds of single values."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from bench.submission.files import RESULT_FILE, SUBMISSION_FILE, WEIGHTS_BYTES, WEIGHTS_FILE
from bench.submission.links import PINNED, https, pinned
from bench.submission.schema import Result, Submission, VerificationLevel
from bench.text import folded

PLACES = f"{PINNED}, or {WEIGHTS_FILE} for a file of at most {WEIGHTS_BYTES:,} bytes in the entry's own folder"
"""What a locator of weights may be, in words."""
SOURCES = frozenset({"embedded", "published", "timm", "robustbench"})
"""Sources of networks that anyone has."""
RESERVED = frozenset({
    "board", "caption", "channels", "controls", "copy", "count", "figures", "index", "main", "rules", "tools",
})  # fmt: skip
"""Ids that an entry cannot have: anchors of a board's own page."""
_DEVICES = frozenset({
    "aux", "con", "nul", "prn", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
})  # fmt: skip
"""Names that Windows keeps for devices, whatever follows a dot behind them."""
_BOAST = re.compile(rf"\b(?:{'|'.join(VerificationLevel)}|verified|unverified)\b")
"""Words by which a board tells how far others have checked an entry."""
_BADGES = frozenset({"level", "rank", "ranked", "status", "verification", "verified", "verifier"})


def people_problems(submission: Submission, folder: str, result: Result | None) -> Iterator[str]:
    """Yield one sentence per thing that people cannot say of an entry in this folder."""
    if submission.id != folder:
        yield f"{SUBMISSION_FILE}: id is {submission.id!r}, expected the name of its folder, {folder!r}."
    if submission.id in RESERVED or submission.id.startswith("fig-"):
        yield f"{SUBMISSION_FILE}: the id {submission.id!r} is kept for the site's own pages; choose another."
    if submission.id.partition(".")[0] in _DEVICES or submission.id.endswith("."):
        yield f"{SUBMISSION_FILE}: Windows makes no folder of the id {submission.id!r}; choose another."
    if submission.supersedes == submission.id:
        yield f"{SUBMISSION_FILE}: {submission.id!r} cannot supersede itself."
    if not submission.authors:
        yield f"{SUBMISSION_FILE}: authors is empty; name at least one."
    if submission.date > tomorrow():
        yield f"{SUBMISSION_FILE}: dated {submission.date}, which is in the future."
    yield from _located(submission.weights.locator, result)
    yield from _boasts(submission, result)
    if result is not None:
        known = {result.model.weights_sha256, result.model.file_sha256}
        if submission.weights.sha256 not in known:
            yield (
                f"{SUBMISSION_FILE}: weights.sha256 is {submission.weights.sha256}, but {RESULT_FILE} was measured on "
                f"{result.model.weights_sha256}."
            )


def _boasts(submission: Submission, result: Result | None) -> Iterator[str]:
    """Name what a submission says of its own level, which only a verifier's signature gives."""
    said = "a submission says nothing of its own level, which only a verifier's signature gives"
    for key, text in (("name", submission.name), ("method", submission.method)):
        if found := _BOAST.search(folded(text)):
            yield f"{SUBMISSION_FILE}: {key} says {found.group()!r}; {said}."
    if result is not None and (keys := sorted(key for key in result.environment if folded(key) in _BADGES)):
        yield f"{RESULT_FILE}: environment names {', '.join(map(repr, keys))}; {said}."


def _located(locator: str, result: Result | None) -> Iterator[str]:
    if "://" in locator:
        try:
            if not pinned(https(locator)):
                yield f"{SUBMISSION_FILE}: weights.locator {locator!r} is not pinned; expected {PLACES}."
        except ValueError as error:
            yield f"{SUBMISSION_FILE}: weights.locator {error}."
        return
    made = None if result is None else rebuilt(result)
    if result is not None and locator not in {made, WEIGHTS_FILE}:
        rebuild = "" if made is None else f", or what rebuilds the network, {made!r}"
        yield f"{SUBMISSION_FILE}: weights.locator {locator!r} is no place of weights; expected {PLACES}{rebuild}."


def locator(result: Result) -> str:
    """Return where the weights of a run come from, in words that ``bench evaluate`` understands."""
    pruning = result.pruning
    if not pruning.made:
        return result.model.ref
    target = f" at sparsity {pruning.target}" if pruning.target else ""
    regime = "" if pruning.regime == "one-shot" else f", then {pruning.regime}"
    return f"{result.model.ref} pruned by {pruning.recipe} version {pruning.version}{target}{regime}"


def rebuilt(result: Result) -> str | None:
    """Return the words by which anyone rebuilds the network that was measured, to the last bit.

    None for a file of one's own, and where a network learned after a recipe had pruned it: sums of floating-point
    numbers come out otherwise on another processor, and so do the weights that were learned with them.
    """
    source, _, name = result.model.ref.partition(":")
    return locator(result) if source in SOURCES and name and not result.pruning.learned else None


def tomorrow() -> date:
    """Return the last day that has begun anywhere."""
    return (datetime.now(tz=UTC) + timedelta(hours=14)).date()

"""``bench challenge``: witnesses against somebody else's entry."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import output
from bench.errors import DisagreementError, UsageError

if TYPE_CHECKING:
    from bench.evaluation.review.challenge import Confirmed

_COLUMNS = ["threat model", "stood", "fall now", "stand then"]


@click.group()
def command() -> None:
    """Lower an entry by adversarial images that nobody had found."""


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("witnesses", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", required=True, help="Of the challenge: small letters, digits and hyphens.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
def new(folder: Path, witnesses: Path, name: str, device: str) -> None:
    """Put those images of WITNESSES that break points of the entry in DIR beside it, for a pull request.

    WITNESSES is an .npz with the arrays id and image (float32, NCHW, in [0, 1]), or the witnesses.npz of a run.
    """
    from bench.atomic import write_atomic
    from bench.evaluation.review.challenge import confirm, gather, write
    from bench.submission.challenge import NAME

    if not NAME.fullmatch(f"challenge-{name}.npz"):
        raise UsageError(f"{name!r} is no name of a challenge; write up to 40 small letters, digits and hyphens.")
    arrays = gather(witnesses)
    found = confirm(folder, arrays, device=device)
    _show(found)
    if not len(found.counting):
        raise DisagreementError("no image breaks a point that stands; there is nothing to challenge.")
    path = folder / f"challenge-{name}.npz"
    write_atomic(path, write(folder, name, arrays, found))
    output.say(
        f"{len(found.counting)} of {found.images} images are in {path}; open a pull request that adds this file."
    )


@command.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", type=click.Path(path_type=Path), help="Sign what is confirmed with this verifier's key.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
def check(file: Path, key: Path | None, device: str) -> int:
    """Confirm FILE, a challenge in an entry's folder, by forward passes; exit 5 if nothing falls to it.

    With --key the points that fell are signed beside it, and boards no longer count them.
    """
    from bench.evaluation.review.challenge import confirm
    from bench.submission.challenge import NAME, read_witnesses
    from bench.submission.verifiers import holder

    today = datetime.now(tz=UTC).date()
    named = NAME.fullmatch(file.name)
    if named is None or named["kind"] != "npz":
        raise UsageError(f"{file.name!r} is no challenge; expected challenge-NAME.npz in the folder of an entry.")
    if key is not None:
        holder(key, today)
    found = confirm(file.parent, read_witnesses(file), device=device)
    _show(found)
    if not any(found.news.values()):
        output.say("Nothing falls that stood; the challenge is not confirmed.")
        return 5
    if key is not None:
        output.say(f"Signed in {_sign(file, named['name'], found, key)}.")
    return 0


def _sign(file: Path, name: str, found: "Confirmed", key: Path) -> Path:
    from bench.atomic import write_atomic
    from bench.submission.challenge import record
    from bench.submission.files import dump
    from bench.submission.verifiers import holder, sign

    today = datetime.now(tz=UTC).date()
    made = record(
        file.parent, name, found.entry.submission, found.entry.result, found.news,
        by=holder(key, today).name, date=today, environment=found.environment,
        says=f"{len(found.counting)} of {found.images} images confirmed by forward passes.",
    )  # fmt: skip
    path = file.with_suffix(".json")
    write_atomic(path, dump(sign(made, key)))
    return path


def _show(found: "Confirmed") -> None:
    output.show(f"{found.entry.submission.id}: challenged", _COLUMNS, found.lines(), numbers=range(1, 4))

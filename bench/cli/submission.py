"""``bench submission``: check submission folders."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.output import emit, line, say
from bench.errors import SubmissionError, UsageError
from bench.text import printable

if TYPE_CHECKING:
    from bench.submission.schema import Result, Weights


@click.group()
def command() -> None:
    """Make and check submissions."""


@command.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(folders: tuple[Path, ...], *, as_json: bool) -> int:
    """Print every problem of submission folders and of literature files; exit 0 if there is none, 3 otherwise."""
    from bench.submission.check import survey

    found: dict[str, list[str]] = {}
    # printed as found: whatever the next folder does, this report stands
    for folder, sentences in zip(folders, survey(folders), strict=True):
        name = printable(str(folder))
        found[name] = sentences
        for sentence in [] if as_json else sentences:
            line(f"{name}: {sentence}")
    if as_json:
        emit({"schema": "bench.submission-check/1", "problems": found})
    wrong = sum(bool(sentences) for sentences in found.values())
    if len(found) > 1 or not wrong:
        say(f"{len(found)} checked, {len(found) - wrong} without a problem.")
    return 3 if wrong else 0


@command.command()
@click.argument("tree", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--before", default="HEAD^1", show_default=True, help="The commit that the pull request is merged onto.")
def pull(tree: Path, before: str) -> int:
    """Check a pull request with a submission, merged and checked out in TREE, as data; exit 0 or 3.

    Besides what `check` finds in the folder, it says what else was changed: a submission is one new folder.
    """
    from bench.submission.check import problems
    from bench.submission.pull import changes, claims, pull_problems, replaced_problems, retired_problems, touched

    made = changes(tree, before)
    wrong = [*pull_problems(made), *replaced_problems(tree, before, made), *retired_problems(tree, made)]
    found = {"pull request": wrong}
    for entry in touched(made):
        name = f"submissions/{entry.protocol}/{entry.name}"
        found[name] = problems(tree / name)
    for name, sentences in found.items():
        for sentence in sentences:
            line(f"{name}: {printable(sentence)}")
    count = sum(map(len, found.values()))
    for entry in touched(made):
        for claim in claims(tree, entry):
            say(printable(claim))
    say(f"{len(found) - 1} entries touched, {count} problems.")
    return 3 if count else 0


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--by", required=True, help="One of its authors.")
@click.option("--reason", required=True, help="For the readers of its page, which stays.")
def withdraw(folder: Path, by: str, reason: str) -> None:
    """Take the entry in DIR from the boards: writes withdrawal.toml, for a pull request that adds this file."""
    from bench.submission.withdrawal import withdraw as take

    say(f"Made {take(folder, by, reason, datetime.now(tz=UTC).date())}; open a pull request that adds this file.")


@command.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def migrate(folders: tuple[Path, ...]) -> None:
    """Convert the records in FOLDERS, of runs or submissions, from version 1 to version 2, in place and once."""
    from bench.submission.migrate import migrate as convert

    for folder in folders:
        try:
            changed = convert(folder)
        except SubmissionError as error:
            raise SubmissionError(f"{printable(str(folder))}: {error}") from None
        line(f"{printable(str(folder))}: {'converted' if changed else 'is of version 2 already'}.")


@command.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--id", "identity", help="Name of the folder and of the entry; by default the run's folder.")
@click.option(
    "--name", help="The network's name for readers; recipe and sparsity stand beside it. By default the model's."
)
@click.option("--author", "authors", multiple=True, required=True, help="Who submits; repeat for several.")
@click.option("--method", help="How it was pruned, in one line; by default the recipe.")
@click.option("--licence", required=True, help="Of the weights, such as MIT.")
@click.option("--paper", help="An https address.")
@click.option("--locator", help="Where the weights are, pinned; by default the recipe that makes them.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The file of weights, to lie in the folder itself; of at most a mebibyte.",
)
@click.option("--parent", help="Entry of the dense network that it was pruned from, where that is somebody else's.")
@click.option("--supersedes", help="Entry of one's own that it replaces.")
@click.option("--extra-data/--no-extra-data", default=False, help="Trained on more than the data set's training split.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Of the submission; by default today.")
@click.option("--submissions", "root", type=click.Path(path_type=Path), default=Path("submissions"), show_default=True)
def new(
    *,
    run: Path,
    identity: str | None,
    name: str | None,
    authors: tuple[str, ...],
    method: str | None,
    licence: str,
    paper: str | None,
    locator: str | None,
    weights: Path | None,
    parent: str | None,
    supersedes: str | None,
    extra_data: bool,
    day: datetime | None,
    root: Path,
) -> None:
    """Make the folder of a submission out of the run in folder RUN."""
    from pydantic import ValidationError

    from bench.submission import make
    from bench.submission.files import RESULT_FILE, read_result
    from bench.submission.schema import Submission

    result = read_result(run / RESULT_FILE)
    content = None if weights is None else _carried(weights, locator, result)
    identity = identity or run.resolve().name.lower()
    try:
        submission = Submission(
            schema_="bench.submission/1",
            id=identity,
            name=name or result.model.ref.rpartition(":")[2].removesuffix(".safetensors"),
            authors=authors,
            date=(day or datetime.now(tz=UTC)).date(),
            paper=paper,
            method=method or make.method(result),
            extra_data=extra_data,
            licence=licence,
            parent=parent,
            supersedes=supersedes,
            weights=_weights(result, locator, carries=content is not None),
        )
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UsageError(f"no submission can be made of this: {found}.") from None
    say(f"Made {make.make(run, root, submission, content)}; check it with `bench submission check`.")


def _carried(path: Path, locator: str | None, result: "Result") -> bytes:
    """Return the bytes of the file of weights that goes into the folder."""
    from bench.submission.carried import read_carried

    if locator is not None:
        raise UsageError("--locator says where the weights are, and --weights puts them into the folder; name one.")
    if result.model.file_sha256 is None:
        raise UsageError(f"{result.model.ref!r} is no file of weights; leave out --weights.")
    return read_carried(path, result.model.file_sha256)


def _weights(result: "Result", locator: str | None, *, carries: bool) -> "Weights":
    """Return what a submission says of its weights."""
    from bench.submission.files import WEIGHTS_BYTES, WEIGHTS_FILE
    from bench.submission.links import PINNED
    from bench.submission.people import rebuilt
    from bench.submission.schema import Weights

    said = WEIGHTS_FILE if carries else locator
    pinned, model = said or rebuilt(result), result.model
    if pinned is None and not model.ref.endswith(".safetensors"):
        raise UsageError(
            f"{model.ref!r} learned after it was pruned ({result.pruning.regime}), and another processor learns other "
            "weights: write them to a file with `bench prune`, measure that file, and submit its run."
        )
    if pinned is None:
        raise UsageError(
            f"{model.ref!r} is a file of your own; say where others find it with --locator ADDRESS, {PINNED}. `hf "
            f"upload ACCOUNT/NAME {model.ref}` brings it to Hugging Face, and `hf models info ACCOUNT/NAME` tells its "
            f"revision (sha): https://huggingface.co/ACCOUNT/NAME/resolve/REVISION/{model.ref}. One of at most "
            f"{WEIGHTS_BYTES:,} bytes may be handed in itself, with --weights FILE."
        )
    known = model.file_sha256 if said and model.file_sha256 else model.weights_sha256
    return Weights(locator=pinned, sha256=known, bytes=result.pruning.bytes_plain)

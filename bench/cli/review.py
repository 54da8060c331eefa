"""``bench review``: hold somebody else's entry against its own weights, and sign what was found."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import output

if TYPE_CHECKING:
    from bench.evaluation.review.review import Review

_DISAGREES = 5
_LEVELS = ("checked", "re-run")


@click.command("review")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--level", type=click.Choice(_LEVELS), default="checked", show_default=True,
              help="Recompute what needs no attack, or run the whole protocol again.")  # fmt: skip
@click.option("--seed", metavar="WORDS", help="Of the smoke attack: what its authors did not know, such as the head "
              "commit of the pull request; by default drawn anew.")  # fmt: skip
@click.option("--key", type=click.Path(path_type=Path), help="Sign verification.json with this verifier's key.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option("--out", type=click.Path(path_type=Path), metavar="RUN", help="Where the run goes that is made again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *, folder: Path, level: str, seed: str | None, key: Path | None, device: str, out: Path | None, as_json: bool
) -> int:
    """Compare the entry in DIR with what its weights give; exit 5 where it says something else.

    Its weights are fetched from where it says they lie, and a few of its robust points are attacked anew.

    \b
    bench review submissions/digits-v1/mine --seed "$(git rev-parse HEAD)"
    bench review submissions/digits-v1/mine --level re-run --key ~/verifier.pem
    """  # noqa: D301 - click's mark for lines to keep
    from bench.cli.evaluate import carry_out, tell_deviations
    from bench.evaluation.review.review import compare_again, lowered, review, smoke_seed
    from bench.submission.again import lay
    from bench.submission.schema import VerificationLevel
    from bench.submission.verifiers import holder

    today = datetime.now(tz=UTC).date()
    if key is not None:
        holder(key, today)  # told before hours of attack
    words = seed or secrets.token_hex(8)
    found = review(folder, smoke_seed(words), device=device, out=out)
    again = None
    if level == "re-run" and not found.table.refuted:
        tell_deviations(found.plan)
        again = compare_again(found, carry_out(found.plan))
    elif level == "checked":
        again = lowered(found)
    signed = None
    if key is not None and again is not None and not found.table.refuted:
        made = again.signed(folder, VerificationLevel(level), key, today, _says(found, level, words))
        signed = lay(folder, made)
    _show(found, level, words, signed, as_json=as_json)
    return _DISAGREES if found.table.disagrees else 0


def _says(found: "Review", level: str, words: str) -> str:
    did = "measured again from the pinned weights" if level == "re-run" else "recomputed, and attacked on a sample"
    wrong = sum(row.verdict == "disagrees" for row in found.table.rows)
    return f"{did[0].upper()}{did[1:]}; {len(found.table.rows)} comparisons, {wrong} disagree; seed {words[:80]}."


def _show(found: "Review", level: str, words: str, signed: Path | None, *, as_json: bool) -> None:
    table, name = found.table, found.entry.submission.id
    if as_json:
        output.emit({
            "schema": "bench.review/1",
            "entry": name,
            "level": level,
            "seed": words,
            "rows": table.document(),
            "fallen": {norm: ids for norm, ids in found.fallen.items() if ids},
            "disagrees": table.disagrees,
            "signed": signed is not None,
        })  # fmt: skip
    else:
        output.show(f"{name}: {level}", ["compared", "the entry says", "found", ""], table.lines())
    output.say(f"The smoke attack was drawn from {words!r}.")
    if table.refuted and level == "re-run":
        output.say("The protocol was not run again or says something else; nothing is signed before that is settled.")
    if signed is not None:
        output.say(f"Signed in {signed}.")

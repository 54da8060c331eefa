"""``bench verifier``: keys that lift entries to a level."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from bench.cli.output import emit, line, say


@click.group()
def command() -> None:
    """Make a key that signs verifications, and list whose count."""


@command.command()
@click.argument("key", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Of the verifier, as readers see it; none of the authors of what it signs.")
@click.option("--team", help="Authors that the verifier belongs to; the pages of their entries say so.")
def new(key: Path, name: str, team: str | None) -> None:
    """Write a private key into the file KEY, outside of any checkout, and print what the list of verifiers needs."""
    from bench.submission.verifiers import make

    public = make(key)
    facts = {"name": name, "key": public} | ({"team": team} if team else {})
    line("[[verifiers]]")
    for word, value in facts.items():
        line(f"{word} = {json.dumps(value, ensure_ascii=False)}")
    line(f"since = {datetime.now(tz=UTC).date()}")
    say(f"{key} is the private half: keep it, show it to nobody. Add the lines above to .github/verifiers.toml.")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def listing(*, as_json: bool) -> None:
    """List the verifiers whose signatures count."""
    from bench.submission.verifiers import listed, place

    found = listed()
    if as_json:
        emit(found.model_dump(mode="json", by_alias=True))
        return
    for verifier in found.verifiers:
        until = f" until {verifier.until}" if verifier.until else ""
        team = f", of {verifier.team}" if verifier.team else ""
        line(f"{verifier.name}{team}, since {verifier.since}{until}: {verifier.key}")
    count = len(found.verifiers)
    say(f"{count} {'key' if count == 1 else 'keys'} in {place().name}.")

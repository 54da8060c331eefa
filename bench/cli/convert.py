"""Convert an old PyTorch checkpoint to safetensors."""

from pathlib import Path

import click

from bench.cli.output import emit, say
from bench.errors import UsageError

SCHEMA = "bench.convert/1"


@click.command(name="convert")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--key", help="Entry of OLD that holds the state dict, where it is not a usual one.")
@click.option("--strip", help="Prefix to cut from every tensor's name, such as 'model.'.")
@click.option("--force", is_flag=True, help="Overwrite NEW.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(old: Path, new: Path, *, key: str | None, strip: str | None, force: bool, as_json: bool) -> None:
    """Read the weights in OLD, a pickled checkpoint that you trust, and write them to NEW.safetensors.

    Only plain tensors are read; a file that needs code to be opened is refused.
    """
    from bench.models.conversion import convert
    from bench.models.weights import file_digest

    if new.exists() and not force:
        raise UsageError(f"{str(new)!r} exists; name another file or add --force.")
    tensors = convert(old, new, key=key, strip=strip)
    digest = file_digest(new)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    if as_json:
        emit(
            {
                "schema": SCHEMA,
                "file": new.name,
                "sha256": digest,
                "bytes": new.stat().st_size,
                "numbers": numbers,
                "tensors": {name: list(tensor.shape) for name, tensor in tensors.items()},
            }
        )
        return
    click.echo(f"{digest}  {new}")
    say(f"{len(tensors)} tensors, {numbers:,} numbers, {new.stat().st_size:,} bytes.")

"""Convert a checkpoint of anyone's making to safetensors that load strictly."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import reading
from bench.cli.output import emit, line, say
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.models.conversion import Converted

SCHEMA = "bench.convert/1"


@click.command(name="convert")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--key", metavar="ENTRY", help="Entry of OLD that holds the state dict; entries inside it after a slash.")
@click.option(
    "--arch", metavar="NAME", help="Find the prefix by this network's names, and write only what loads into it."
)
@click.option("--strip", metavar="PREFIX", default="", help="Prefix to cut from every tensor's name, such as 'model.'.")
@click.option("--drop", multiple=True, metavar="PATTERN", help="Tensors to leave out: n_averaged, 'val_acc.*'.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Replace a dotted part of names, as in fc=linear.")
@click.option("--kept", metavar="SHARE", help="Share of each layer that HYDRA's popup_scores keep, its k: 0.1.")
@click.option("--force", is_flag=True, help="Overwrite NEW.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    old: Path,
    new: Path,
    *,
    key: str | None,
    arch: str | None,
    strip: str,
    drop: tuple[str, ...],
    rename: tuple[str, ...],
    kept: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Read the weights in OLD, a checkpoint that you trust, and write them to NEW.safetensors.

    Only plain tensors are read; a file that needs code to be opened is refused. Masks, weight and spectral norm are
    folded into the weights, and other precisions become float32; every change is told and recorded in the file.
    """
    from bench.models.conversion import convert
    from bench.models.naming import Changes

    if new.exists() and not force:
        raise UsageError(f"{str(new)!r} exists; name another file or add --force.")
    changes = Changes(drop, strip, tuple(map(_pair, rename)))
    share = None if kept is None else float(reading.share(kept))
    _show(new, convert(old, new, key=key, changes=changes, kept=share, arch=arch), as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not old or not sign:
        raise UsageError(f"--rename {text!r} should be OLD=NEW, such as fc=linear.")
    return old, new


def _show(new: Path, converted: "Converted", *, as_json: bool) -> None:
    from bench.models.weights import file_digest

    digest, size = file_digest(new), new.stat().st_size
    numbers = sum(tensor.numel() for tensor in converted.tensors.values())
    if as_json:
        emit(
            {
                "schema": SCHEMA,
                "file": new.name,
                "sha256": digest,
                "bytes": size,
                "numbers": numbers,
                "told": list(converted.told),
                "hints": list(converted.hints),
                "tensors": {name: list(tensor.shape) for name, tensor in converted.tensors.items()},
            }
        )
        return
    line(f"{digest}  {new}")
    for words in (*converted.told, *converted.hints):
        say(f"{words[0].upper()}{words[1:]}.")
    say(f"{len(converted.tensors)} tensors, {numbers:,} numbers, {size:,} bytes.")

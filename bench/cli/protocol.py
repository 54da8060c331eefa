"""``bench protocol``: the rules, in words, and the start of rules of one's own."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import output
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.protocol.load import Protocol


@click.group("protocol")
def command() -> None:
    """Show the rules, or start a file of one's own."""


@command.command("show")
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, name: str, as_json: bool) -> None:
    """Show one protocol: points, what is done to photographs, threat models, attacks, grids and digest."""
    from bench.data.decoding import PREPARED
    from bench.protocol.own import find

    protocol = find(name)
    if as_json:
        rules, prepared = protocol.model_dump(mode="json"), PREPARED.get(protocol.data.dataset)
        shown = None if prepared is None else asdict(prepared)
        output.emit({"schema": "bench.protocol/1", **rules, "preprocessing": shown})
        return
    output.show(protocol.name, ["rule", "value"], [*_points(protocol), *_attacks(protocol)])


def _points(protocol: "Protocol") -> list[list[str]]:
    """Return what the rules are for, and which images they show how."""
    from bench.data.decoding import PREPARED

    prepared = PREPARED.get(protocol.data.dataset)
    data, out, extra = protocol.data, protocol.held_out, protocol.calibration
    return [
        ["title", protocol.title],
        ["summary", protocol.summary],
        ["status", protocol.status],
        ["digest", protocol.digest],
        ["points", f"{data.dataset} {data.split} {data.first}:{data.ids.stop}"],
        ["points pinned by", data.pin or "nothing"],
        *([] if prepared is None else [["preprocessing", prepared.words]]),
        *[[f"data {key}", str(value)] for key, value in data.settings.items()],
        *([] if out is None else [["held out", f"{out.split} {out.first}:{out.ids.stop}"]]),
        *([] if out is None else [["held out pinned by", out.pin or "nothing"]]),
        ["calibration", f"{extra.split} {extra.first}:{extra.ids.stop}"],
        ["calibration pinned by", extra.pin or "nothing"],
        ["seed", str(protocol.seed)],
        ["precision", protocol.precision],
    ]


def _attacks(protocol: "Protocol") -> list[list[str]]:
    """Return the threat models and all that is done under them."""
    lines = [[str(threat.model), " → ".join(threat.attacks)] for threat in protocol.threats]
    for attack, settings in protocol.attacks.items():
        lines.append([attack, ", ".join(f"{key} = {_plain(value)}" for key, value in settings.items())])
    for attack, settings in protocol.black_box.items():
        lines.append([f"black-box {attack}", ", ".join(f"{key} = {_plain(value)}" for key, value in settings.items())])
    for curve in protocol.curves:
        radii = " ".join(str(radius) for radius in curve.epsilons)
        lines.append([f"curve {curve.norm}", radii + (f"  ({', '.join(curve.attacks)})" if curve.attacks else "")])
    training = protocol.training.model_dump()
    lines.append(["training", ", ".join(f"{key} = {value:g}" for key, value in training.items())])
    for title, preset in protocol.presets.items():
        attacks = "; ".join(f"{other.norm} {' → '.join(other.attacks)}" for other in preset.threats)
        lines.append([f"preset {title}", f"{attacks}: {preset.says}"])
        lines += [["", gap.words()] for gap in preset.gaps]
    grid = protocol.grid
    lines.append(["recipes", " ".join(grid.recipes)])
    lines.append(["sparsities", " ".join(str(sparsity) for sparsity in grid.sparsities)])
    lines.append(["regimes", " ".join(grid.regimes)])
    for check, thresholds in protocol.checks.items():
        lines.append([f"check {check}", ", ".join(f"{key} = {value:g}" for key, value in thresholds.items())])
    return lines


@command.command("new")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dataset", default="folder", show_default=True, metavar="NAME", help="See `bench list datasets`.")
@click.option("--extends", "base", default="cifar10-v1", show_default=True, metavar="NAME", help="Rules to start from.")
def new(*, file: Path, dataset: str, base: str) -> None:
    """Write a commented start of a protocol of one's own, for `bench evaluate --protocol FILE`."""
    from bench.atomic import write_atomic
    from bench.evaluation.plan.own import start

    if file.suffix != ".toml":
        raise UsageError(f"a protocol is a .toml file, got {str(file)!r}; name one such as mine.toml.")
    if file.exists():
        raise UsageError(f"{str(file)!r} exists; name a new file.")
    write_atomic(file, start(file.stem, dataset, base).encode())
    output.say(f"Written to {file}; edit it, then see what it is good for: bench protocol check {file}")


@command.command("check")
@click.argument("name", metavar="NAME|FILE")
@click.option("--table", type=click.Path(path_type=Path), metavar="FILE", help="Write a table that pins every image.")
def check(*, name: str, table: Path | None) -> None:
    """Read rules and every one of their points; print the digest that pins them."""
    from bench.atomic import write_atomic
    from bench.evaluation.plan import own
    from bench.protocol.own import find

    protocol = find(name)
    if table is not None:
        if table.exists():
            raise UsageError(f"{str(table)!r} exists; name a new file.")
        write_atomic(table, own.pin(protocol).encode())
    output.show(protocol.name, ["what", "says"], own.check(protocol))


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

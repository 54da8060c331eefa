"""``bench protocol``: the rules, in words."""

import click

from bench.cli import output


@click.group("protocol")
def command() -> None:
    """Show the rules."""


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, name: str, as_json: bool) -> None:
    """Show one protocol: points, threat models, attacks, grids and digest."""
    from bench.protocol.load import load

    protocol = load(name)
    if as_json:
        rules = protocol.model_dump(mode="json")
        output.emit({"schema": "bench.protocol/1", **rules})
        return
    data = protocol.data
    lines = [
        ["title", protocol.title],
        ["status", protocol.status],
        ["digest", protocol.digest],
        ["points", f"{data.dataset} {data.split} {data.first}:{data.first + data.points}"],
        ["points' digest", data.digest or "not pinned yet"],
        ["seed", str(protocol.seed)],
        ["precision", protocol.precision],
    ]
    lines += [[str(threat.model), " → ".join(threat.attacks)] for threat in protocol.threats]
    for attack, settings in protocol.attacks.items():
        lines.append([attack, ", ".join(f"{key} = {_plain(value)}" for key, value in settings.items())])
    for curve in protocol.curves:
        radii = " ".join(str(radius) for radius in curve.epsilons)
        lines.append([f"curve {curve.norm}", radii + (f"  ({', '.join(curve.attacks)})" if curve.attacks else "")])
    training = protocol.training.model_dump()
    lines.append(["training", ", ".join(f"{key} = {value:g}" for key, value in training.items())])
    for title, preset in protocol.presets.items():
        lines.append([f"preset {title}", f"{preset.norm}, {' → '.join(preset.attacks)}: {preset.says}"])
    grid = protocol.grid
    lines.append(["recipes", " ".join(grid.recipes)])
    lines.append(["sparsities", " ".join(str(sparsity) for sparsity in grid.sparsities)])
    lines.append(["regimes", " ".join(grid.regimes)])
    for check, thresholds in protocol.checks.items():
        lines.append([f"check {check}", ", ".join(f"{key} = {value:g}" for key, value in thresholds.items())])
    output.show(protocol.name, ["rule", "value"], lines)


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

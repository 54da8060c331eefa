"""``bench list``: everything that has a name."""

from collections.abc import Callable

import click

from bench.cli import output

Listing = tuple[list[str], list[list[str]]]
"""Columns, and one line per entry, its name first."""

_MANY = 500
"""Names of one source that are listed without being asked for."""


@click.command("list")
@click.argument(
    "kind",
    type=click.Choice(["models", "recipes", "regimes", "attacks", "checks", "datasets", "protocols", "architectures"]),
)
@click.argument("word", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, kind: str, word: str | None, as_json: bool) -> None:
    """List what has a name and can be asked for; with WORD, only names that hold it.

    \b
    bench list models
    bench list models wide_resnet
    bench list recipes wanda
    """  # noqa: D301 - click's mark for lines to keep
    columns, lines = _models(whole=word is not None) if kind == "models" else _LISTINGS[kind]()
    lines = [line for line in lines if word is None or word.lower() in line[0].lower()]
    if as_json:
        entries = [dict(zip(columns, line, strict=True)) for line in lines]
        output.emit({"schema": "bench.list/1", "kind": kind, "entries": entries})
        return
    output.show("", columns, lines)


def _models(*, whole: bool) -> Listing:
    """List every network of every source; of those with very many, unless ``whole``, what is on disk."""
    from bench.models.source import SOURCES

    lines = []
    for name in SOURCES:
        source = SOURCES[name]
        known = source.names()
        found = [[f"{name}:{model}", "yes" if source.at_hand(model) else "no", says] for model, says in known.items()]
        shown = found if whole or len(found) <= _MANY else [line for line in found if line[1] == "yes"]
        lines += shown
        if len(shown) < len(found):
            says = f"{source.says}; {len(found):,} names, listed by `bench list models WORD` where they hold a word"
            lines.append([name, "", says])
        elif not known:
            lines.append([name, "", source.says])
    return ["model", "on disk", "says"], lines


def _recipes() -> Listing:
    from bench.pruning.recipe import RECIPES

    columns = ["recipe", "structure", "scope", "needs", "survivors", "version", "source"]
    found = [RECIPES[name] for name in RECIPES]
    return columns, [
        [
            recipe.name,
            recipe.structure,
            recipe.scope,
            recipe.needs,
            "moved" if recipe.rewrites else "kept",
            str(recipe.version),
            recipe.source,
        ]
        for recipe in found
    ]


def _regimes() -> Listing:
    from bench.pruning.regime import REGIMES

    found = [REGIMES[name] for name in REGIMES]
    columns = ["regime", "needs", "version", "source"]
    return columns, [[regime.name, regime.needs, str(regime.version), regime.source] for regime in found]


def _attacks() -> Listing:
    from bench.attacks.attack import ATTACKS

    columns = ["attack", "norms", "kind", "access", "settings", "source"]
    found = [ATTACKS[name] for name in ATTACKS]
    return columns, [
        [
            attack.name,
            " ".join(sorted(attack.norms)),
            attack.kind,
            attack.access,
            " ".join(attack.settings),
            attack.source,
        ]
        for attack in found
    ]


def _checks() -> Listing:
    from bench.evaluation.checks.check import CHECKS

    columns = ["check", "stage", "catches", "thresholds", "source"]
    lines = []
    for check in (CHECKS[name] for name in CHECKS):
        thresholds = " ".join(check.thresholds) or "none"
        lines.append([check.name, check.stage.value, check.catches, thresholds, check.source])
    return columns, lines


def _datasets() -> Listing:
    from bench.data.dataset import DATASETS
    from bench.data.format import FORMATS

    found = [DATASETS[name] for name in DATASETS]
    columns = ["data set", "channels × height × width", "classes", "cite"]
    registered = [[data.name, "×".join(map(str, data.shape)), str(len(data.classes)), data.citation] for data in found]
    return columns, registered + [[name, "one's own", "one's own", FORMATS[name].says] for name in FORMATS]


def _protocols() -> Listing:
    from bench.protocol import load

    found = [load.load(name) for name in load.names()]
    columns = ["protocol", "status", "points", "threats", "digest"]
    return columns, [
        [
            protocol.name,
            protocol.status,
            str(protocol.data.points),
            ", ".join(str(threat.model) for threat in protocol.threats),
            protocol.digest[:12],
        ]
        for protocol in found
    ]


def _architectures() -> Listing:
    from bench.models.architecture import ARCHITECTURES

    found = [(name, ARCHITECTURES[name]) for name in ARCHITECTURES]
    columns = ["architecture", "channels × height × width", "classes", "says"]
    return columns, [[name, "×".join(map(str, entry.shape)), str(entry.classes), entry.says] for name, entry in found]


_LISTINGS: dict[str, Callable[[], Listing]] = {
    "recipes": _recipes,
    "regimes": _regimes,
    "attacks": _attacks,
    "checks": _checks,
    "datasets": _datasets,
    "protocols": _protocols,
    "architectures": _architectures,
}

"""Train a network from nothing, or the embedded networks again and say whether they come out as recorded."""

import json
import shlex
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import reading
from bench.cli.output import bar, emit, say, show
from bench.errors import BenchError, UsageError
from bench.registry import unknown

if TYPE_CHECKING:
    from bench.models.manifest import Outcome

SCHEMA = "bench.train/1"


@click.command(name="train")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="A new folder for weights, record and learning curve; for embedded networks any folder.",
)
@click.option("--arch", metavar="NAME", help="Train this architecture instead; see `bench list architectures`.")
@click.option("--data", metavar="NAME", help="What it learns from; see `bench list datasets`.")
@click.option("--split", metavar="NAME", help="Of the data set.  [default: train]")
@click.option("--points", metavar="FIRST:LAST", help="Ids to learn from, 0:9000.")
@click.option("--validate", metavar="FIRST:LAST", help="Ids to look at after every epoch, 9000:10000.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the images.  [default: 20]")
@click.option("--batch", type=click.IntRange(min=1), help="Images a step.  [default: 64]")
@click.option("--rate", type=float, help="Highest learning rate of Adam's one cycle.  [default: 0.003]")
@click.option("--decay", type=float, help="Weight decay.  [default: 0]")
@click.option("--threat", metavar="NORM", help="Attack every batch first, under Linf or L2; with --epsilon.")
@click.option("--epsilon", metavar="RADIUS", help="Exact, as in 3/10 or 8/255.")
@click.option("--steps", type=click.IntRange(min=1), help="Of that attack.  [default: 10]")
@click.option("--seed", type=click.IntRange(min=0), help="Of every random number.  [default: 0]")
@click.option("--mean", metavar="R,G,B", help="Input normalisation.")
@click.option("--std", metavar="R,G,B", help="Input normalisation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(names: tuple[str, ...], out: Path, *, as_json: bool, arch: str | None, **said: Any) -> None:
    """Train a network from nothing, or the embedded networks called NAME (or all) again.

    \b
    bench train --arch mnist-lenet5 --data mnist --points 0:9000 --validate 9000:10000 --out lenet5
    bench train digits-cnn-linf --out again
    """  # noqa: D301 - click's mark for lines to keep
    given = {name: value for name, value in said.items() if value is not None}
    if arch is None:
        if given:
            raise UsageError(f"--{next(iter(given))} goes with --arch NAME; embedded networks are trained as recorded.")
        _again(names, out, as_json=as_json)
        return
    if names:
        raise UsageError(f"--arch {arch} trains a new network, and {names[0]!r} names an embedded one; give one.")
    record = _anew(arch, out, given)
    if as_json:
        emit(record)
        return
    _tell(record, out)


def _anew(arch: str, out: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Train a new network as the options say."""
    from bench.interface.training import train
    from bench.threats import ThreatModel

    data, points = given.pop("data", None), reading.points(given.pop("points", None))
    if data is None or points is None:
        raise UsageError("--arch needs what to learn from: --data mnist --points 0:9000.")
    norm, epsilon = given.pop("threat", None), given.pop("epsilon", None)
    if (norm is None) != (epsilon is None) or (norm is None and "steps" in given):
        raise UsageError("adversarial training needs both --threat and --epsilon: --threat Linf --epsilon 3/10.")
    readers: dict[str, Any] = {"validate": reading.points, "mean": reading.numbers, "std": reading.numbers}
    options: dict[str, Any] = {
        name: readers[name](value) if name in readers else value for name, value in given.items()
    }
    threat = ThreatModel.parse(norm, epsilon) if norm and epsilon else None
    try:
        return train(arch, data=data, points=points, out=out, threat=threat, **options)
    except KeyboardInterrupt:
        say("The epochs that were finished are kept; the same command goes on from there.")
        raise


def _tell(record: dict[str, Any], out: Path) -> None:
    last, points = record["epochs"][-1], record["points"]["points"]
    rows = [("learnt from", str(points), f"{100 * last['correct'] / points:.2f}")]
    for key, says in (("correct", "validation"), ("standing", "validation, attacked")):
        if record["looks"] and key in record["looks"][-1]:
            count = record["validation"]["points"]
            rows.append((says, str(count), f"{100 * record['looks'][-1][key] / count:.2f}"))
    title = f"{record['architecture']} after {len(record['epochs'])} epochs, loss {last['loss']:.4f}"
    show(title, ("images", "number", "right %"), rows, numbers=(1, 2))
    say(f"Weights, training.json and curve.svg are in {out}.")
    model = shlex.quote(str(out / record["weights"]))
    say(f"To prune and attack it: bench evaluate --model {model} --recipe magnitude-global --sparsity 0.9 --protocol …")


def _again(names: tuple[str, ...], out: Path, *, as_json: bool) -> None:
    """Train embedded networks, and say whether they come out as recorded."""
    from bench.models.manifest import manifest, outcomes

    known = manifest().models
    for name in names:
        if name not in known:
            raise UsageError(unknown("embedded model", name, list(known)))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(f"{str(out)!r} cannot be made: {error.strerror}.") from None
    recorded = outcomes()
    trained = {name: _train(name, out) for name in names or known}
    _record(out / "models.json", trained)
    if as_json:
        emit({"schema": SCHEMA, "networks": {name: _compared(trained[name], recorded.get(name)) for name in trained}})
        return
    rows = [_row(name, outcome, recorded.get(name)) for name, outcome in trained.items()]
    show(
        "Trained networks", ("network", "correct", *manifest().look.adversaries, "as recorded"), rows, numbers=(1, 2, 3)
    )
    say(f"Weights and models.json are in {out}.")


def _train(name: str, out: Path) -> "Outcome":
    from bench.data.dataset import DATASETS
    from bench.models import training, weights
    from bench.models.architecture import ARCHITECTURES
    from bench.models.manifest import Outcome, manifest

    rules = manifest()
    settings, source = rules.models[name], DATASETS[rules.data.dataset]
    lessons, exam = source.load("train", range(rules.data.train)), source.load("test", range(rules.data.test))
    network = ARCHITECTURES[settings.architecture].build()
    epochs = count(1)
    with bar() as draw:
        draw(name, 0, settings.epochs)
        training.train(
            network,
            lessons.images(),
            lessons.label_tensor(),
            settings.course,
            on_epoch=lambda: draw(name, next(epochs), settings.epochs),
        )
    images, labels = exam.images(), exam.label_tensor()
    standing = {
        threat: training.correct_under(network, images, labels, adversary, seed=rules.look.seed)
        for threat, adversary in rules.look.adversaries.items()
    }
    path = out / f"{name}.safetensors"
    weights.save(path, network.state_dict())
    return Outcome(
        points=len(exam),
        correct=training.correct(network, images, labels),
        standing=standing,
        bytes=path.stat().st_size,
        sha256=weights.file_digest(path),
    )


def _record(path: Path, trained: "dict[str, Outcome]") -> None:
    """Write the record, keeping the entries of networks that were trained into the folder before."""
    from bench.atomic import write_atomic

    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    records = before | {name: outcome.model_dump() for name, outcome in trained.items()}
    write_atomic(path, (json.dumps(dict(sorted(records.items())), indent=2) + "\n").encode())


def _compared(outcome: "Outcome", before: "Outcome | None") -> dict[str, object]:
    return {
        "trained": outcome.model_dump(),
        "recorded": before.model_dump() if before else None,
        "same_bytes": before is not None and outcome.sha256 == before.sha256,
    }


def _row(name: str, outcome: "Outcome", before: "Outcome | None") -> tuple[str, ...]:
    if before is None:
        verdict = "not recorded yet"
    elif outcome.sha256 == before.sha256:
        verdict = "same bytes"
    else:
        verdict = "other bytes; recorded " + ", ".join(
            str(count) for count in (before.correct, *before.standing.values())
        )
    counts = (outcome.correct, *outcome.standing.values())
    return (name, *(f"{count}/{outcome.points}" for count in counts), verdict)

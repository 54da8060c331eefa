"""Train the embedded networks again and say whether they come out as recorded."""

import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
    help="Folder for the weights and their record, models.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(names: tuple[str, ...], out: Path, *, as_json: bool) -> None:
    """Train embedded networks from scratch: those called NAME, or all."""
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

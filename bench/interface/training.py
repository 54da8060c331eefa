"""Trains a network from nothing, naturally or adversarially, and keeps beside its weights how that was done."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.atomic import whole_folder, write_atomic
from bench.data.dataset import DATASETS, EvalSet
from bench.errors import ArtefactError, BenchError, UsageError
from bench.evaluation.environment import environment, exact_arithmetic
from bench.interface.progress import bar
from bench.lock import held
from bench.models.architecture import Architecture
from bench.models.source import Normalised, architecture
from bench.models.trained import FILE, SCHEMA
from bench.models.training import Adversary, Course, Training, correct, correct_under
from bench.models.weights import file_digest, history, read, save
from bench.submission.files import canonical
from bench.tensors import Images, Labels
from bench.threats import Norm, ThreatModel

_STATE = "state.safetensors"
_CURVE = "curve.svg"
_MEASURED = frozenset({"test", "held-out"})
"""Splits of which protocols take the points that they measure on."""
_LOOK = 0
"""Seed of the look at validation images, which touches no draw of the training."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """The images that a network learns from, and those that it is looked at with after every epoch, if any."""

    learnt: EvalSet
    validated: EvalSet | None


@exact_arithmetic()
def train(
    arch: str,
    *,
    data: str,
    points: tuple[int, int],
    out: Path | str,
    split: str = "train",
    validate: tuple[int, int] | None = None,
    epochs: int = 20,
    batch: int = 64,
    rate: float = 0.003,
    decay: float = 0.0,
    threat: ThreatModel | None = None,
    steps: int = 10,
    seed: int = 0,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    progress: bool = True,
) -> dict[str, Any]:
    """Train a network on a processor, write its folder in one move, and return the record that lies in it.

    The folder holds the weights under its own name, ``training.json`` and the learning curve. What was interrupted goes
    on by the same call from its last finished epoch and ends in the same bytes.

    Args:
        arch: a registered architecture, ``timm:NAME``, ``NAME?num_classes=100``.
        data: the data set; see ``bench list datasets``.
        points: ids from (inclusive) and to (exclusive) to learn from.
        out: a new folder.
        split: of the data set.
        validate: ids of the same split to look at after every epoch; nothing is chosen by them.
        epochs: passes over the images.
        batch: images a step.
        rate: highest learning rate of the one cycle of Adam.
        decay: weight decay.
        threat: Linf or L2 ball in which every batch is attacked first (Madry et al. 2018, arXiv:1706.06083).
        steps: of that attack.
        seed: of the first weights, the order of the images and the starts of the attack.
        mean: of the input normalisation, one number or one a channel.
        std: likewise.
        progress: a bar on a terminal or in a notebook.

    Raises:
        UsageError: if arguments do not go together, or the folder exists.
        InputError: if the images are not at hand.
        ArtefactError: if unfinished work in the folder's place is damaged.
        ContractError: if the loss is not finite.
    """
    out = Path(out)
    if out.exists():
        raise UsageError(f"{str(out)!r} exists; name a new folder.")
    made = architecture(arch)
    course = _course(Course(epochs, batch, rate, decay, seed, None), threat, steps)
    lessons = _lessons(made, data, split, points, validate)
    asked = _asked(made, course, lessons, tuple(mean), tuple(std))
    network = Normalised(made.build(), tuple(mean), tuple(std))
    with held(out) as unfinished, bar() as draw:
        return _carry_out(out, unfinished / _STATE, network, course, lessons, asked, draw if progress else _silent)


def _silent(says: str, done: int, total: int) -> None:
    del says, done, total


def _heard(show: Callable[[str, int, int], None], says: str, total: int) -> Callable[[int], None]:
    return lambda done: show(says, done, total)


def _carry_out(
    out: Path,
    state: Path,
    network: Normalised,
    course: Course,
    lessons: Lessons,
    asked: dict[str, Any],
    show: Callable[[str, int, int], None],
) -> dict[str, Any]:
    training = Training(network, lessons.learnt.images(), lessons.learnt.label_tensor(), course)
    looks = _resume(state, training, asked)
    while not training.over:
        says = f"{asked['architecture']}: epoch {len(training.epochs) + 1}/{course.epochs}{_so_far(training, looks)}"
        training.advance(_heard(show, says, course.epochs * training.steps))
        looks += [_look(network, lessons.validated, course.adversary)] if lessons.validated else []
        tensors, plain = training.state()
        save(state, tensors, told=json.dumps({"asked": asked, "looks": looks, **plain}))
    told = _write(out, network, asked, training, looks)
    state.unlink(missing_ok=True)
    return told


def _course(plain: Course, threat: ThreatModel | None, steps: int) -> Course:
    if threat is not None and threat.norm is Norm.L0:
        raise UsageError("adversarial training follows gradients; name a radius in Linf or L2, such as Linf 3/10.")
    for name, value in {"epochs": plain.epochs, "batch": plain.batch, "steps": steps}.items():
        if value < 1:
            raise UsageError(f"{name} should be 1 or more, got {value}.")
    if not plain.learning_rate > 0 or not plain.weight_decay >= 0 or plain.seed < 0:
        raise UsageError(
            "the learning rate should be positive, weight decay and seed not negative; got "
            f"{plain.learning_rate}, {plain.weight_decay} and {plain.seed}."
        )
    adversary = None if threat is None else Adversary(threat, steps)
    return Course(plain.epochs, plain.batch, plain.learning_rate, plain.weight_decay, plain.seed, adversary)


def _lessons(
    made: Architecture, data: str, split: str, points: tuple[int, int], validate: tuple[int, int] | None
) -> Lessons:
    source = DATASETS[data]
    if split in _MEASURED:
        raise UsageError(f"{data} {split} is what networks are measured on; train on another split, such as train.")
    if (made.shape, made.classes) != (source.shape, len(source.classes)):
        raise UsageError(
            f"{made.name} takes images of {'×'.join(map(str, made.shape))} and tells {made.classes} classes apart; "
            f"{data} has images of {'×'.join(map(str, source.shape))} and {len(source.classes)} classes: name another "
            "architecture, or say so as in NAME?num_classes=100&img_size=64."
        )
    ranges = [range(*points), *([range(*validate)] if validate else [])]
    if not all(ranges):
        raise UsageError(f"a range of points goes from a smaller to a larger id, got {points} and {validate}.")
    if validate and set(ranges[0]) & set(ranges[1]):
        raise UsageError(f"points {points} and {validate} overlap; validation shows nothing on images learnt from.")
    return Lessons(source.load(split, ranges[0]), source.load(split, ranges[1]) if validate else None)


def _asked(
    made: Architecture, course: Course, lessons: Lessons, mean: tuple[float, ...], std: tuple[float, ...]
) -> dict[str, Any]:
    """Return all that decides the outcome, as the record holds it."""
    channels = made.shape[0]
    if not {len(mean), len(std)} <= {1, channels} or min(std) <= 0:
        raise UsageError(
            f"mean and std take one number or one a channel ({channels}), std a positive one; got {mean} and {std}."
        )
    adversary = course.adversary
    attack = adversary and {
        "norm": adversary.threat.norm.value, "epsilon": str(adversary.threat.epsilon), "steps": adversary.steps,
    }  # fmt: skip
    return {
        "architecture": made.name,
        "mean": list(mean),
        "std": list(std),
        "points": _told(lessons.learnt),
        "validation": lessons.validated and _told(lessons.validated),
        "course": asdict(course) | {"adversary": attack},
        "environment": environment(),
    }


def _told(points: EvalSet) -> dict[str, Any]:
    return {
        "dataset": points.name,
        "split": points.split,
        "first": int(points.ids[0]),
        "points": len(points),
        "digest": points.digest,
    }


def _resume(path: Path, training: Training, asked: dict[str, Any]) -> list[dict[str, int]]:
    """Go on from unfinished work of the very same training, and return what was seen after each of its epochs."""
    if not path.is_file():
        return []
    again = f"remove {str(path.parent)!r} to begin anew"
    try:
        tensors, told = read(path), json.loads(history(path))
        before, looks = told.pop("asked"), told.pop("looks")
        if before == asked:
            training.restore(tensors, told)
    except (BenchError, KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        raise ArtefactError(f"the unfinished training in {str(path.parent)!r} is damaged ({error}); {again}.") from None
    if before != asked:
        other = ", ".join(sorted(key for key in asked if before.get(key) != asked[key]))
        raise UsageError(f"{str(path.parent)!r} holds an unfinished training with another {other}; {again}.")
    found: list[dict[str, int]] = looks
    return found


def _look(network: Normalised, points: EvalSet, adversary: Adversary | None) -> dict[str, int]:
    images, labels = points.images(), points.label_tensor()
    found = {"correct": correct(network, images, labels)}
    return found | _attacked(network, images, labels, adversary)


def _attacked(network: Normalised, images: Images, labels: Labels, adversary: Adversary | None) -> dict[str, int]:
    if adversary is None:
        return {}
    return {"standing": correct_under(network, images, labels, adversary, seed=_LOOK)}


def _so_far(training: Training, looks: list[dict[str, int]]) -> str:
    if not training.epochs:
        return ""
    seen = f", {looks[-1]['correct']} of validation right" if looks else ""
    return f", loss {training.epochs[-1].loss:.3f}{seen}"


def _write(
    out: Path, network: Normalised, asked: dict[str, Any], training: Training, looks: list[dict[str, int]]
) -> dict[str, Any]:
    """Write weights, record and figure into a folder that appears only when it is complete."""
    name = f"{out.name}.safetensors"
    with whole_folder(out) as folder:
        save(folder / name, network.network.state_dict())
        told = {
            "schema": SCHEMA,
            "weights": name,
            "sha256": file_digest(folder / name),
            **asked,
            "epochs": [asdict(epoch) for epoch in training.epochs],
            "looks": looks,
        }
        write_atomic(folder / FILE, canonical(told))
        write_atomic(folder / _CURVE, _curve(told))
    return told


def _curve(told: dict[str, Any]) -> bytes:
    """Return the learning curve as SVG."""
    from bench.site.plots import learning
    from bench.site.render import svg

    return svg(learning(told))

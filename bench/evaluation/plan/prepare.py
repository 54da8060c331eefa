"""From a plan to everything it needs at hand: model, data, pruned network, measured."""

from dataclasses import dataclass, replace

import torch

from bench.data.dataset import DataSource, EvalSet
from bench.data.official import Official
from bench.errors import InputError
from bench.evaluation import environment
from bench.evaluation.plan.descent import descend
from bench.evaluation.plan.fitting import fitting
from bench.evaluation.plan.layout import lay_out
from bench.evaluation.plan.plan import Plan
from bench.evaluation.search.batch import automatic_batch, footprint, room_on
from bench.models.architecture import Variant
from bench.models.source import SOURCES, LoadedModel, architecture, hold_task, identity, load
from bench.protocol.points import Calibration, Pinned
from bench.pruning.prune import Pruned, needs_images, prune
from bench.pruning.recipe import RECIPES, Context, Structure, Training

EXAMPLES = 8
"""Images shown to the network once to see which weights a forward pass reaches; more than one, for batch mixing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A plan with its model, its data and its pruned network at hand.

    Attributes:
        parent: the dense network that was pruned, here or before; None where nothing was, or where nobody names it.
        structure: of the zeros, as the recipe makes it or as it was found.
        digest: of the tensors that are attacked.
        deviations: why the run is not a standard one, as the images say.
    """

    plan: Plan
    loaded: LoadedModel
    points: EvalSet
    pruned: Pruned
    parent: LoadedModel | None
    structure: Structure
    digest: str
    deviations: tuple[str, ...]


def prepare(plan: Plan) -> Cell:
    """Load the model and the data, prune, measure.

    Raises:
        InputError: if data are missing or are not the protocol's.
        UsageError: if the model does not take these images or has other classes.
        ArtefactError: if the parent that is named is not the parent.
        DisagreementError: if what is told of a network that came pruned is not what was measured.
    """
    loaded = load_model(plan)
    points, extra = load_points(plan), load_calibration(plan)
    pruned = prune(
        loaded.classifier,
        plan.request.recipe,
        plan.request.sparsity,
        _context(plan, points, extra),
        plan.request.regime,
    )
    structure = RECIPES[plan.request.recipe].structure
    parent = None if plan.request.dense else loaded
    if plan.request.origin is not None:
        found = descend(plan.request.origin, loaded, pruned.network, points.head(EXAMPLES).images())
        pruned, parent, structure = replace(pruned, measured=found.measured), found.parent, found.structure
    lay_out(pruned.network, pruned.measured, plan.source.shape, environment.device(plan.request.device))
    digest = identity(loaded.ref, pruned.network, loaded.shape)
    return Cell(plan, loaded, points, pruned, parent, structure, digest, tuple(strange(plan, points, extra)))


def load_model(plan: Plan) -> LoadedModel:
    """Load the network of a plan and hold it against the images and classes of its points.

    Raises:
        UsageError: if it does not take these images or tells other classes apart.
    """
    return _fitting(plan, load(plan.request.model))


def stand_in(plan: Plan) -> LoadedModel | None:
    """Build the network of a plan without its weights, to be held against the points and timed; None where it cannot.

    A file would say how many classes it tells apart; without it they are those of the points.

    Raises:
        UsageError: if it does not take these images or tells other classes apart.
    """
    ref = plan.request.model
    buildable = str(ref) if SOURCES[ref.source].blank else None
    name = ref.architecture if ref.source == "checkpoint" else buildable
    if name is None:
        return None
    made = architecture(name)
    if ref.source == "checkpoint" and not Variant.parse(name).classes:
        made = made.of(classes=plan.classes)
    network = made.build().eval().requires_grad_(requires_grad=False)
    return _fitting(plan, LoadedModel(ref, network, made.name, made.shape, made.classes, digest=""))


def _fitting(plan: Plan, loaded: LoadedModel) -> LoadedModel:
    hold_task(loaded, plan.source.shape, len(plan.source.classes), plan.source.name, fitting)
    return loaded


def strange(plan: Plan, points: EvalSet | None, extra: EvalSet | None) -> list[str]:
    """Return why a run on these points and calibration images is not a standard one; None is not at hand or asked."""
    rules, official = plan.protocol, plan.source.official
    told = (elsewhere(one, pin, official) for one, pin in ((points, rules.data), (extra, rules.calibration)) if one)
    return [*filter(None, told)]


def elsewhere(points: EvalSet, wanted: Pinned, official: Official | None) -> str | None:
    """Return why points are not those that the rules pin by files, and what brings them; None where they are."""
    if not wanted.files or points.read_from == wanted.files:
        return None
    says = f"{points.name} {points.split} is not read from {', '.join(wanted.files)}, by which the rules pin it"
    return f"{says}: {official.remedy}" if official else says


def load_points(plan: Plan) -> EvalSet:
    """Load the points of a plan and hold them against the protocol's digest, where it has one.

    Raises:
        InputError: if they are missing, or are not the pixels and labels that the protocol was made with.
    """
    data = plan.protocol.data
    points = plan.source.load(data.split, plan.ids)
    return _held(points, data) if plan.ids == tuple(data.ids) else points


def load_whole(plan: Plan) -> EvalSet:
    """Load every point of the protocol, whichever the plan evaluates; raises as ``load_points`` does."""
    data = plan.protocol.data
    return _held(plan.source.load(data.split, data.ids), data)


def load_held_out(plan: Plan) -> EvalSet:
    """Load the points that the protocol holds out.

    Raises:
        InputError: if they are missing, or are not the pixels and labels that the protocol was made with.
    """
    out = plan.protocol.held_out
    assert out is not None
    points = _held(plan.source.load(out.split, out.ids), out)
    if says := elsewhere(points, out, plan.source.official):
        raise InputError(f"{says}.")
    return points


def _held(points: EvalSet, wanted: Pinned) -> EvalSet:
    if wanted.digest is not None and points.digest != wanted.digest:
        raise InputError(
            f"{points.name} {points.split}: the {len(points)} points are not the protocol's "
            f"(digest {points.digest[:12]}…, expected {wanted.digest[:12]}…); fetch the data set again."
        )
    return points


def batch_of(cell: Cell, device: torch.device) -> int:
    """Return how many points an attack works on at once: as the user said, or what suits network and device.

    Raises:
        UsageError: if the memory that the user grants has no room for one.
    """
    request, network, images = cell.plan.request, cell.pruned.network, cell.points.head(1).images()
    if request.batch_size is not None:
        return request.batch_size
    one = footprint(network, images, cell.pruned.measured.macs)
    besides = 4 * len(cell.points) * one.numbers + sum(tensor.nbytes for tensor in network.state_dict().values())
    return automatic_batch(one, device, room_on(device, request.memory, besides))


def load_calibration(plan: Plan) -> EvalSet | None:
    """Load the training images that the recipe or the regime of a plan looks at; None where neither does.

    Raises:
        InputError: if they are missing, or are not the pixels and labels that the protocol was made with.
    """
    if not needs_images(plan.request.recipe, plan.request.regime):
        return None
    return calibration(plan.source, plan.protocol.calibration)


def calibration(source: DataSource, wanted: Calibration) -> EvalSet:
    """Load the training images of some rules; raises as ``load_calibration`` does."""
    return _held(source.load(wanted.split, wanted.ids), wanted)


def _context(plan: Plan, points: EvalSet, extra: EvalSet | None) -> Context:
    return Context(
        example=points.head(EXAMPLES).images(),
        seed=plan.seed,
        calibration=None if extra is None else (extra.images(), extra.label_tensor()),
        threat=plan.protocol.threats[0].model,
        training=Training(**plan.protocol.training.model_dump()),
        keep=frozenset(plan.request.keep),
    )

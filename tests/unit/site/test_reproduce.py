"""The command on an entry's page asks for what was measured, as the command line reads it."""

import json
import shlex
from dataclasses import replace
from fractions import Fraction

import pytest

from bench.cli.evaluate import command, settle
from bench.evaluation.plan.descent import claim_of
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.site.entries import read
from bench.site.reproduce import commands, words
from bench.submission.files import canonical, read_result
from tests.support.builders import write

MEANS = (125.3 / 255, 123.0 / 255, 113.9 / 255)
STDS = (1 / 3, 5e-05, 0.1 + 0.2)
THINNED = ModelRef("checkpoint", "net.safetensors", "cifar-resnet20", MEANS, STDS)
FATTER = ModelRef("checkpoint", "dense.safetensors", "resnet56", (-0.5,), (0.25,))


def asked(spoken):
    """Return the request that the command line reads from the words of a command."""
    program, name, *options = spoken
    assert (program, name) == ("bench", "evaluate")
    given = command.make_context(name, list(options)).params
    return settle(
        **{key: value for key, value in given.items() if key not in {"dry_run", "rehearse", "as_json"}}
    ).request


def theirs(origin):
    claim = claim_of(origin)
    return {
        "recipe": None,
        "method": origin.method,
        "regime": origin.regime,
        "target": None,
        "claim": claim and claim.model_dump(mode="json"),
    }


def parent_of(request):
    """Return what a record says of a parent: of a file, only what is not the network's own."""
    parent, model = request.origin.parent, request.model
    said = {"parent": str(parent)}
    if parent.source == "checkpoint" and parent.architecture != model.architecture:
        said["parent_architecture"] = parent.architecture
    if parent.source == "checkpoint" and (parent.mean, parent.std) != (model.mean, model.std):
        said["parent_normalisation"] = {"mean": parent.mean, "std": parent.std}
    return said


def result_of(folder, request):
    """Return a record of what was asked, as a run writes it."""
    stands = write(folder, id="asked")
    told = json.loads((stands / "result.json").read_text("utf-8"))
    ref = request.model
    told["model"] |= {
        "ref": str(ref),
        "architecture": ref.architecture or "small-cnn",
        "normalisation": {"mean": ref.mean, "std": ref.std} if ref.source == "checkpoint" else None,
    }
    told["pruning"] |= {
        "recipe": request.recipe,
        "target": None if request.sparsity is None else str(request.sparsity),
        "regime": request.regime,
    }
    if request.origin:
        told["pruning"] |= theirs(request.origin)
        told["model"] |= parent_of(request)
    told |= {"engine": request.engine, "batch_size": request.batch_size}
    (stands / "result.json").write_bytes(canonical(told))
    return read_result(stands / "result.json")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"recipe": "magnitude-global", "sparsity": Fraction(63, 64)},
        {"recipe": "magnitude-2of4", "regime": "bn"},
        {"recipe": "random-filter", "sparsity": Fraction(1, 3), "regime": "ft-adv"},
        {"engine": "reference", "batch_size": 7},
        {"model": ModelRef("checkpoint", "net.safetensors", "cifar-resnet20", MEANS, STDS)},
        {"model": ModelRef("checkpoint", "net.safetensors", "timm:resnet18.a1_in1k", (-0.25,), (2.0,))},
        {"model": ModelRef("checkpoint", "a 'b' $(c).safetensors", "cifar-resnet20")},
        {"model": THINNED, "origin": Origin(ModelRef("embedded", "digits-cnn-linf"), "LAMP + TRADES")},
        {"model": THINNED, "origin": Origin(ModelRef("timm", "resnet18.a1_in1k"), "$(x) -y", Fraction(1, 3), "2of4")},
        {"model": THINNED, "origin": Origin(replace(THINNED, name="dense.safetensors"), "their own", regime="scratch")},
        {"model": THINNED, "origin": Origin(FATTER, "GReg", structure="channel", regime="ft")},
    ],
    ids=lambda changes: ", ".join(map(str, changes.values())) or "dense",
)
def test_the_command_of_a_record_is_read_as_the_request_that_it_records(changes, tmp_path):
    request = replace(Request(model=ModelRef("embedded", "digits-cnn-linf"), protocol=load("digits-v1")), **changes)
    request = plan(request).request
    spoken = shlex.split(shlex.join(words(result_of(tmp_path, request))))
    assert asked(spoken) == request


def test_a_pruned_network_is_measured_beside_its_parent(tmp_path):
    write(tmp_path, id="small-dense")
    write(tmp_path, id="small-half", recipe="magnitude-global", sparsity=Fraction(1, 2))
    catalogue = read(tmp_path)
    (child,) = catalogue.parents
    dense, pruned = map(shlex.split, commands(catalogue, child).splitlines())
    assert [asked(spoken).sparsity for spoken in (dense, pruned)] == [None, Fraction(1, 2)]
    assert asked(dense).model == asked(pruned).model

"""What a user says becomes one plan, whichever file says the rest."""

import json
import shutil
from fractions import Fraction
from importlib import resources
from pathlib import Path

import pytest

from bench.cli.main import run
from bench.errors import ArtefactError, DisagreementError, InputError, UsageError
from bench.evaluation.plan.ask import File, Said, ask
from bench.evaluation.plan.plan import UNTOLD
from bench.evaluation.plan.prepare import prepare
from bench.models.source import ModelRef
from bench.models.weights import read, save
from tests.support.builders import write

TINY = "embedded:digits-tiny-linf"
DENSE = str(resources.files("bench.models.embedded") / "digits-tiny-linf.safetensors")


@pytest.fixture
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def half(here):
    """Return a checkpoint that ``bench prune`` made, with its manifest."""
    assert run(["prune", "--model", TINY, "--recipe", "magnitude-global", "--sparsity", "0.5", "--regime", "bn",
                "--out", "half"]) == 0  # fmt: skip
    return here / "half" / "model.safetensors"


def settle(model, **said):
    return ask(str(model), "digits-smoke-v1", said=Said(**said), limit=8)


def test_a_recipe_prunes_and_nothing_is_told_of_an_origin():
    request = settle(TINY, recipe="magnitude-global", sparsity=Fraction(1, 2)).request
    assert (request.recipe, request.regime, request.origin) == ("magnitude-global", "one-shot", None)


def test_a_manifest_says_everything(half):
    settled = settle(half)
    origin = settled.request.origin
    assert origin.parent == ModelRef.parse(TINY)
    assert (origin.method, origin.regime) == ("magnitude-global version 1 (bench prune)", "bn")
    assert (origin.sparsity, origin.structure) == (Fraction(1, 2), "unstructured")
    assert settled.request.model.architecture == "digits-tiny"
    assert settled.name.startswith("model-")
    assert "--magnitude-global-version-1-bench-prune-50--bn--" in settled.name
    cell = prepare(settled)
    assert cell.pruned.measured.zeros == 610
    assert cell.parent.digest == origin.parent_weights


def test_weights_that_were_trained_on_are_no_longer_those_of_the_manifest(half):
    save(half, {name: tensor * 1.5 for name, tensor in read(half).items()})
    with pytest.raises(ArtefactError, match="if they were trained on, say so with --parent, --method and --regime"):
        prepare(settle(half))
    told = prepare(settle(half, parent=TINY, method="magnitude, then mine", regime="ft"))
    assert told.plan.request.model.architecture == "digits-tiny", "the file is still the manifest's"
    assert told.pruned.measured.zeros == 610


def test_what_is_claimed_beside_a_manifest_is_held_to_the_weights(half):
    with pytest.raises(DisagreementError, match=r"sparsity 0\.6 is claimed, 0\.5 was measured"):
        prepare(settle(half, sparsity=Fraction(3, 5)))
    with pytest.raises(ArtefactError, match="the manifest beside the network tells of"):
        prepare(settle(half, parent=str(_other(half)), regime="scratch"))


def _other(half):
    """Return another dense network of the same architecture, as a file."""
    tensors = read(half)
    save(half.parent / "other.safetensors", {name: tensor + 1 for name, tensor in tensors.items()})
    return half.parent / "other.safetensors"


def test_a_manifest_whose_parent_is_a_file_finds_it_near(here):
    shutil.copy(DENSE, here / "dense.safetensors")
    assert run(["prune", "--model", "dense.safetensors", "--arch", "digits-tiny", "--recipe", "magnitude-global",
                "--sparsity", "0.5", "--out", "thin"]) == 0  # fmt: skip
    origin = settle("thin/model.safetensors").request.origin
    assert Path(origin.parent.name).samefile(here / "dense.safetensors")
    assert origin.parent.architecture == "digits-tiny"
    (here / "dense.safetensors").unlink()
    with pytest.raises(InputError, match=r"'dense\.safetensors' is in none of"):
        settle("thin/model.safetensors")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema": "bench.prune/2"}', "\x00", '{"schema": "bench.prune/1", "model": 3}']
)
def test_a_damaged_manifest_gets_a_sentence(half, content):
    (half.parent / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"manifest\.json' is no manifest of bench prune") as caught:
        settle(half)
    assert "\n" not in str(caught.value)


def test_a_target_in_another_spelling_is_no_sparsity(half):
    manifest = half.parent / "manifest.json"
    told = json.loads(manifest.read_text("utf-8")) | {"target": "1/0"}
    manifest.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ArtefactError, match="is no manifest"):
        settle(half)


def test_shapes_say_that_channels_are_gone(here):
    assert run(["prune", "--model", "embedded:digits-resnet-linf", "--recipe", "l2-inner", "--sparsity", "0.5",
                "--out", "thin"]) == 0  # fmt: skip
    shutil.copy("thin/model.safetensors", "bare.safetensors")
    settled = ask("bare.safetensors", "digits-smoke-v1", file=File("digits-resnet"), limit=8)
    assert settled.request.origin.parent is None
    assert settled.request.origin.method == UNTOLD
    assert not settled.name.endswith("--dense")
    assert any("no dense parent is named" in reason for reason in settled.deviations)
    cell = prepare(settled)
    assert (cell.structure.value, cell.parent) == ("channel", None)
    assert cell.pruned.measured.parent_macs > 2 * cell.pruned.measured.macs


def test_a_plain_file_stays_what_it_is(here):
    shutil.copy(DENSE, "plain.safetensors")
    settled = ask("plain.safetensors", "digits-smoke-v1", file=File("digits-tiny"), limit=8)
    assert settled.request.dense
    assert settled.name.endswith("--dense--points-0-8")


@pytest.fixture
def published(here):
    """Make a folder of submissions with a dense entry, one pruned by a recipe and one pruned by others."""
    changes = {"parent": "digits-tiny-linf"}
    write(here / "submissions", id="tiny-dense", **changes)
    write(here / "submissions", id="tiny-half", recipe="magnitude-global", sparsity=Fraction(1, 2), **changes)
    write(here / "submissions", id="theirs", recipe="of others", theirs="LAMP", sparsity=Fraction(4, 5),
          claim={"sparsity": "4/5"}, **changes)  # fmt: skip
    return here / "submissions"


def test_an_entry_is_measured_again_as_it_was_made(published):
    assert settle("entry:tiny-dense").request.dense
    again = settle("entry:tiny-half").request
    assert (again.recipe, again.sparsity, again.regime) == ("magnitude-global", Fraction(1, 2), "one-shot")
    pruned = settle("entry:tiny-dense", recipe="wanda", sparsity=Fraction(3, 4)).request
    assert (pruned.recipe, pruned.sparsity) == ("wanda", Fraction(3, 4))


def test_an_entry_of_others_tells_its_origin(published):
    origin = settle("entry:theirs").request.origin
    assert (origin.method, origin.sparsity, origin.regime) == ("LAMP", Fraction(4, 5), "one-shot")
    assert origin.parent is not None


@pytest.mark.parametrize(
    ("model", "said", "says"),
    [
        ("entry:tiny-hlaf", {}, "Did you mean 'tiny-half'"),
        ("entry:tiny-half", {"recipe": "wanda", "sparsity": Fraction(1, 2)}, "is pruned already"),
        ("entry:tiny-half", {"method": "LAMP"}, "says itself where its network comes from"),
        ("embedded:digits-tiny-linf", {"parent": "entry:tiny-half"}, "run of a network that was pruned itself"),
        ("embedded:digits-tiny-linf", {"recipe": "wanda", "sparsity": Fraction(1, 2),
                                       "parent": "embedded:digits-tiny-linf"}, "which is then the parent itself"),
        ("embedded:digits-tiny-linf", {"method": "LAMP"}, "pruned by which --recipe"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(published, model, said, says):
    with pytest.raises(UsageError, match=says):
        settle(model, **said)


def test_a_dense_entry_is_a_parent_with_a_run(published):
    settled = settle("embedded:digits-tiny-linf", parent="entry:tiny-dense", method="x")
    assert settled.request.origin.parent == ModelRef.parse("embedded:digits-tiny-linf")
    assert settled.request.parent_run == Path("submissions/digits-v1/tiny-dense")

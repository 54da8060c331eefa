"""Rules of one's own start from a text that works, and what would stop a run is told before it."""

from dataclasses import replace

import pytest

from bench.attacks.attack import Access
from bench.data.dataset import DATASETS
from bench.data.format import FORMATS
from bench.errors import ProtocolError, UsageError
from bench.evaluation.plan import own
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.protocol.own import find
from bench.threats import Norm
from tests.support.photographs import photograph

MODEL = ModelRef.parse("embedded:digits-tiny-linf")


def put(path, text):
    path.write_text(text, "utf-8")
    return find(str(path))


@pytest.fixture
def photographs(tmp_path):
    """Return the start for photographs as it is written, with two images where it looks for them."""
    photograph(tmp_path / "images" / "val" / "bee" / "0.png", 300, 280)
    photograph(tmp_path / "images" / "val" / "bee" / "1.png", 256, 256)
    (tmp_path / "images" / "classes.txt").write_text("\n".join(["ant", "bee", *map(str, range(2, 1000))]))
    return put(tmp_path / "mine.toml", own.start("mine", "folder", "cifar10-v1").replace("points = 100", "points = 2"))


def test_the_start_for_photographs_works_as_it_is_written(photographs):
    told = dict(own.check(photographs))
    assert told["images"] == "2 of 3×224×224, 1000 classes"
    assert told["digest"].startswith('digest = "')
    assert photographs.threat(Norm.L0).epsilon == 50
    assert [photographs.keeps(norm) for norm in Norm] == [True, True, False]
    assert set(photographs.presets) == {"smoke", "fast"}


@pytest.mark.parametrize("name", [*DATASETS, *FORMATS])
def test_every_start_is_read_back(tmp_path, name):
    protocol = put(tmp_path / "mine.toml", own.start("mine", name, "digits-v1"))
    assert (protocol.data.dataset, protocol.data.points) == (name, 100)
    assert bool(protocol.data.settings) == (name in FORMATS)


def test_unknown_names_have_no_start():
    with pytest.raises(UsageError, match="Did you mean 'folder'"):
        own.start("mine", "foldr", "cifar10-v1")
    with pytest.raises(UsageError, match="Did you mean 'cifar10-v1'"):
        own.start("mine", "folder", "cifar10")


def test_the_presets_for_photographs_cost_what_the_file_says(photographs):
    for preset, forwards, backwards in (("standard", 87_600, 12_700), ("fast", 7300, 1000), ("smoke", 640, 160)):
        settled = plan(Request(MODEL, photographs.under(preset)))
        asked = settled.protocol.black_box
        again = [step for step in settled.steps if step.attack.access is Access.BLACK_BOX]
        again = [replace(step, settings=asked.get(step.attack.name, step.settings)) for step in again]
        blind = sum(step.passes(1000).forwards for step in again)
        spent = settled.passes
        assert 0.97 * forwards <= spent.forwards + blind <= forwards
        assert 0.97 * backwards <= spent.backwards <= backwards


def test_a_run_by_path_is_never_standard(tmp_path):
    text = 'name = "mine"\nextends = "digits-v1"\n'
    settled = plan(Request(MODEL, put(tmp_path / "mine.toml", text)))
    assert settled.deviations == ("rules of one's own, from mine.toml, which changes digits-v1",)


def test_an_attack_that_gives_no_number_at_this_size_is_refused_before_it_runs(photographs, tmp_path):
    text = (tmp_path / "mine.toml").read_text("utf-8")
    with_corners = text.replace('"sparse-pgd-p", "sparse-rs", ', '"sparse-pgd-p", "corners", "sparse-rs", ')
    protocol = put(tmp_path / "mine.toml", with_corners + "\n[attacks.corners]\nqueries = 16384\n")
    says = r"attacks\.corners: corners asks 401,408 images per point of 3×224×224, granted 16,384"
    with pytest.raises(ProtocolError, match=says):
        plan(Request(MODEL, protocol))
    with pytest.raises(ProtocolError, match=says):
        own.check(protocol)


def test_what_an_attack_leaves_undone_is_said(photographs):
    (remark,) = plan(Request(MODEL, photographs)).remarks
    assert remark == "L0 50 sparse-rs-ce: 10,000 queries try at most 34,948 of the 50,176 pixels of an image."
    assert plan(Request(MODEL, load("cifar10-v1"))).remarks == ()
    assert plan(Request(MODEL, load("digits-v1"))).remarks == ()


def test_points_that_are_not_the_pinned_ones_are_told(photographs, tmp_path):
    text = (tmp_path / "mine.toml").read_text("utf-8")
    pinned = put(tmp_path / "mine.toml", text.replace('# digest = "…"', 'digest = "abcdef012345"'))
    assert "but abcdef012345… is pinned" in dict(own.check(pinned))["digest"]


def test_images_are_pinned_one_by_one_where_the_format_has_a_table(photographs, tmp_path):
    lines = own.pin(photographs).splitlines()
    assert lines[0] == "file,class,sha256"
    assert [line.rpartition(",")[0] for line in lines[1:]] == ["bee/0.png,1", "bee/1.png,1"]
    with pytest.raises(UsageError, match="in the format folder; cifar10-v1 has cifar10"):
        own.pin(load("cifar10-v1"))


@pytest.mark.parametrize(
    ("rules", "architecture", "said"),
    [
        ("cifar10-v1", "cnn-a", {}),
        ("cifar10-v1", "cnn-a", {"mean": (0.5,), "std": (0.25,)}),
        ("digits-v1", "digits-cnn", {}),
    ],
    ids=["forgotten", "said", "grey"],
)
def test_a_normalisation_that_may_have_been_forgotten_is_mentioned(tmp_path, rules, architecture, said):
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"")
    found = plan(Request(ModelRef.parse(str(file), architecture=architecture, **said), load(rules))).remarks
    says = "net.safetensors gets images as they are, in [0, 1]; were they normalised in training, say --mean and --std."
    assert found == ((says,) if (rules, said) == ("cifar10-v1", {}) else ())

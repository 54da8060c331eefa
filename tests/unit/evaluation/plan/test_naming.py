"""No two requests share a default folder, and the same request always has the same."""

import itertools
import shutil
from dataclasses import fields, replace
from fractions import Fraction
from importlib import resources
from pathlib import Path

import pytest

from bench.evaluation.plan.naming import entry_name, model_name, percent
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load, parse
from bench.threats import Norm

MODEL = ModelRef.parse("embedded:digits-tiny-linf")
RULES = load("digits-v1")


def checkpoint(path: Path, content: bytes = b"weights", **options) -> ModelRef:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return ModelRef.parse(str(path), architecture=options.pop("architecture", "cnn-a"), **options)


def origins(folder: Path) -> list[Origin]:
    """Return accounts of a pruning of which no two are the same."""
    parent = ModelRef.parse("embedded:digits-tiny-l2")
    files = [checkpoint(folder / name / "dense.safetensors", name.encode()) for name in ("one", "two")]
    return [
        Origin(),
        Origin(parent),
        *(Origin(file) for file in files),
        *(Origin(parent, method=method) for method in ("LAMP + TRADES", "lamp/trades", "漢字", "字漢", "l" * 100)),
        Origin(parent, sparsity=Fraction(1, 2)),
        Origin(parent, structure="2of4"),
        Origin(parent, regime="ft"),
    ]


def requests(folder: Path) -> list[Request]:
    """Return requests of which no two mean the same."""
    plain = Request(MODEL, RULES)
    half = replace(plain, recipe="magnitude-global", sparsity=Fraction(1, 2))
    text = (resources.files("bench.protocol") / "digits-v1.toml").read_text("utf-8")
    models = [
        ModelRef.parse("embedded:digits-mlp-linf"),
        ModelRef.parse("robustbench:cifar10/Linf/Rebuffi2021Fixing_70_16_cutmix_extra"),
        ModelRef.parse("robustbench:cifar10/L2/Rebuffi2021Fixing_70_16_cutmix_extra"),
        ModelRef.parse("timm:resnet18.a1_in1k"),
        ModelRef.parse("timm:resnet18.a1_in1k@main"),
        checkpoint(folder / "a" / "best.safetensors", b"one"),
        checkpoint(folder / "b" / "best.safetensors", b"another"),
        checkpoint(folder / "a" / "best.safetensors", b"one", architecture="digits-tiny"),
        checkpoint(folder / "a" / "best.safetensors", b"one", mean=(0.5,)),
        checkpoint(folder / "a" / "best.safetensors", b"one", std=(0.5,)),
        checkpoint(folder / "a" / "digits-tiny-linf.safetensors", b"a third"),
        checkpoint(folder / "a" / f"{'long' * 45}.safetensors", b"a fourth"),
        checkpoint(folder / "a" / f"{'long' * 45}er.safetensors", b"a fifth"),
        ModelRef.parse("gone.safetensors", architecture="cnn-a"),
    ]
    return [
        plain,
        half,
        *(replace(plain, model=model) for model in models),
        replace(half, recipe="wanda"),
        replace(half, regime="bn"),
        *(replace(half, keep=keep) for keep in (("0",), ("3",), ("0", "3"))),
        *(replace(half, sparsity=share) for share in (Fraction(2, 3), Fraction("0.666667"), Fraction("0.6666667"))),
        *(replace(plain, points=points) for points in ((0, 100), (100, 200), (0, 10))),
        replace(plain, limit=20),
        *(replace(plain, norms=norms) for norms in ((Norm.L2,), (Norm.LINF,), (Norm.LINF, Norm.L2))),
        replace(plain, seed=1),
        replace(plain, seed=11),
        *(replace(plain, protocol=RULES.under(preset)) for preset in RULES.presets),
        replace(plain, protocol=parse(text.replace("queries = 5000", "queries = 50"), where="mine.toml")),
        replace(plain, engine="reference"),
        replace(plain, engine="reference", batch_size=7),
        replace(half, parent_run=Path("runs/one")),
        replace(half, parent_run=Path("runs/two")),
        *(replace(plain, origin=origin) for origin in origins(folder)),
    ]


def test_different_requests_never_share_a_folder(tmp_path):
    asked = requests(tmp_path)
    folders = [plan(request).out for request in asked]
    for (one, here), (other, there) in itertools.combinations(zip(asked, folders, strict=True), 2):
        assert here != there, (one, other)
    assert max(len(folder.name) for folder in folders) < 160  # a file system takes 255, and two endings come on top


def test_every_part_of_a_request_is_tried_or_changes_no_number(tmp_path):
    asked = requests(tmp_path)
    for kind, of, neutral in (
        (Request, lambda request: request, {"device", "memory", "out", "resume", "parent_first"}),
        (ModelRef, lambda request: request.model, set()),
    ):
        names = {field.name for field in fields(kind)}
        tried = {name for name in names if len({repr(getattr(of(one), name)) for one in asked}) > 1}
        assert tried | neutral == names


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": RULES.seed},
        {"limit": RULES.data.points},
        {"points": (0, RULES.data.points)},
        {"norms": (Norm.L0, Norm.L2, Norm.LINF)},
        {"batch_size": 7},
        {"device": "cpu"},
        {"resume": False},
        {"parent_first": False},
    ],
)
def test_what_changes_no_number_changes_no_folder(changes):
    assert plan(Request(MODEL, RULES, **changes)).out == Path("runs/digits-v1/digits-tiny-linf--dense")


def test_norms_are_a_set():
    folders = {plan(Request(MODEL, RULES, norms=norms)).out for norms in ((Norm.L0, Norm.L2), (Norm.L2, Norm.L0))}
    assert len(folders) == 1


def test_a_file_is_known_by_what_is_in_it(tmp_path):
    first = checkpoint(tmp_path / "here" / "best.safetensors")
    before = model_name(first)
    (tmp_path / "there").mkdir()
    shutil.copy(first.name, tmp_path / "there" / "best.safetensors")
    assert model_name(replace(first, name=str(tmp_path / "there" / "best.safetensors"))) == before
    checkpoint(tmp_path / "here" / "best.safetensors", b"weights of a later epoch")
    assert model_name(first) != before


def test_entries_of_the_rules_are_named_by_what_they_are():
    assert entry_name(MODEL, "magnitude-global", Fraction(9, 10), "one-shot") == "digits-tiny-linf--magnitude-global-90"
    assert entry_name(MODEL, "wanda", Fraction(63, 64), "bn") == "digits-tiny-linf--wanda-98.4375--bn"
    file = ModelRef.parse("some/where/My Net.safetensors", architecture="cnn-a")
    assert entry_name(file, "dense", None, "one-shot").startswith("my-net-")


def test_a_share_is_spelled_in_percent_where_percent_is_exact():
    spelled = [percent(Fraction(text)) for text in ("1/2", "0.95", "63/64", "2/3", "0.66666667")]
    assert spelled == ["50", "95", "98.4375", "2-of-3", "66.666667"]


def test_a_parent_that_moves_changes_no_folder(tmp_path):
    here, there = (checkpoint(tmp_path / place / "dense.safetensors") for place in ("here", "there"))
    first, second = (plan(Request(MODEL, RULES, origin=Origin(parent))).name for parent in (here, there))
    assert first == second
    assert first.startswith("digits-tiny-linf--not-told--origin-")

import shutil
from pathlib import Path

import pytest

from bench.errors import ArtefactError, UsageError
from bench.models import manifest
from bench.models.source import SOURCES, ModelRef, load
from bench.models.weights import file_digest

NAMES = list(manifest.manifest().models)


def test_every_network_has_weights_and_a_record():
    folder = Path(str(manifest.folder()))
    assert set(manifest.outcomes()) == set(NAMES) == {path.stem for path in folder.glob("*.safetensors")}
    for name, outcome in manifest.outcomes().items():
        path = folder / f"{name}.safetensors"
        assert (path.stat().st_size, file_digest(path)) == (outcome.bytes, outcome.sha256)


def test_there_are_six_or_more_of_every_kind_in_less_than_two_megabytes():
    assert len(NAMES) >= 6
    assert sum(outcome.bytes for outcome in manifest.outcomes().values()) < 2_000_000
    networks = manifest.manifest().models.values()
    assert {network.adversary.norm if network.adversary else None for network in networks} == {None, "Linf", "L2"}
    assert {network.architecture for network in networks} >= {"digits-cnn", "digits-resnet", "digits-tiny"}


def test_adversarial_training_helped():
    outcomes = manifest.outcomes()
    for family in ("digits-cnn", "digits-resnet"):
        natural = outcomes[f"{family}-natural"].standing
        assert outcomes[f"{family}-linf"].standing["Linf 1/10"] > natural["Linf 1/10"] + 100
        assert outcomes[f"{family}-l2"].standing["L2 1/2"] > natural["L2 1/2"] + 75


def test_names_are_listed_with_what_they_are():
    listed = SOURCES["embedded"].names()
    assert set(listed) == set(NAMES)
    assert "adversarially in Linf 1/10" in listed["digits-cnn-linf"]


def test_an_unknown_name_gets_near_misses():
    with pytest.raises(UsageError, match="Did you mean 'digits-cnn-linf'"):
        load(ModelRef.parse("embedded:digits-cnn-inf"))


def test_a_file_that_changed_since_it_was_recorded_is_refused(tmp_path, monkeypatch):
    shutil.copytree(Path(str(manifest.folder())), tmp_path / "shipped")
    path = tmp_path / "shipped" / "digits-tiny-linf.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(manifest, "folder", lambda: tmp_path / "shipped")
    with pytest.raises(ArtefactError, match="install the package again"):
        load(ModelRef.parse("embedded:digits-tiny-linf"))

"""The weights that an entry names come by way of the guard, and another process opens them first."""

import hashlib
import shutil
import socket
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from bench.errors import ArtefactError, InputError
from bench.evaluation.plan.reference import file_named, measured
from bench.evaluation.review import weights
from bench.evaluation.review.weights import fetch_weights
from bench.guard import Guard
from bench.models.source import SOURCES
from bench.models.weights import file_digest
from bench.submission.files import dump, read_result
from bench.submission.schema import Normalisation
from tests.support.loopback import Answer, serving

PATH = f"/someone/net/resolve/{40 * '0'}/w.safetensors"
TINY = (resources.files("bench.models") / "embedded" / "digits-tiny-linf.safetensors").read_bytes()


@pytest.fixture
def entry(root, tmp_path, monkeypatch):
    """Return how to make an entry whose network is a file on a hub; what is served there is given."""
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path / "cache"))
    source = root / "submissions/digits-v1/digits-tiny-linf--dense"

    def make(ref="w.safetensors", content=TINY):
        folder = tmp_path / "digits-v1" / "mine"
        shutil.copytree(source, folder)
        result = read_result(folder / "result.json")
        digest = hashlib.sha256(content).hexdigest()
        normal = {"mean": (0.0,), "std": (1.0,)}
        model = result.model.model_dump() | {"ref": ref, "file_sha256": digest, "normalisation": normal}
        plain = result.model_copy(update={"model": type(result.model).model_validate(model)})
        (folder / "result.json").write_bytes(dump(plain))
        toml = (folder / "submission.toml").read_text("utf-8")
        toml = toml.replace("embedded:digits-tiny-linf", f"https://huggingface.co{PATH}")
        (folder / "submission.toml").write_text(toml, "utf-8")
        return folder

    return make


def beside(folder, name, **model):
    """Copy an entry under another name, with changes to what it says of its network."""
    other = folder.with_name(name)
    shutil.copytree(folder, other)
    result = read_result(other / "result.json")
    (other / "result.json").write_bytes(
        dump(result.model_copy(update={"model": result.model.model_copy(update=model)}))
    )
    return other


def carrying(folder, content=TINY):
    """Let an entry carry its file in its own folder."""
    toml = (folder / "submission.toml").read_text("utf-8")
    located = toml.replace(f"https://huggingface.co{PATH}", "weights.safetensors")
    (folder / "submission.toml").write_text(located, "utf-8")
    (folder / "weights.safetensors").write_bytes(content)
    return folder


def test_a_file_in_the_folder_is_opened_by_another_process_and_kept_under_its_name(entry, monkeypatch, tmp_path):
    tried = []
    trial = weights._try
    monkeypatch.setattr(weights, "_try", lambda *given: (tried.append(given[0].name), trial(*given)))
    (place,) = fetch_weights(carrying(entry()))
    assert place == tmp_path / "cache" / "entries" / hashlib.sha256(TINY).hexdigest()
    assert (place / "w.safetensors").read_bytes() == TINY
    assert tried == ["w.safetensors"]


def test_a_file_in_the_folder_that_is_another_is_not_opened(entry, tmp_path):
    with pytest.raises(ArtefactError, match=r"weights\.safetensors has sha256"):
        fetch_weights(carrying(entry(), TINY[:-1] + b"x"))
    assert not (tmp_path / "cache").exists()


def test_a_parent_s_file_of_the_same_name_is_the_parent_s(entry, monkeypatch):
    """A record tells its parent's file by the name alone, and files are often called alike."""
    monkeypatch.setattr(weights, "_try", lambda *_: None)
    theirs = TINY[:-4] + bytes(4)
    parent = carrying(entry("w.safetensors", theirs), theirs)
    digest = read_result(parent / "result.json").model.weights_sha256
    mine = {"parent": "w.safetensors", "parent_sha256": digest, "weights_sha256": "0" * 64}
    child = beside(parent, "child", file_sha256=hashlib.sha256(TINY).hexdigest(), **mine)
    (child / "weights.safetensors").write_bytes(TINY)
    found = measured(str(child), "digits-v1")
    assert file_digest(file_named("w.safetensors", fetch_weights(child))) == hashlib.sha256(theirs).hexdigest()
    assert file_digest(file_named("w.safetensors", found.places)) == hashlib.sha256(theirs).hexdigest()
    assert file_digest(Path(found.model.name)) == hashlib.sha256(TINY).hexdigest()


def through(monkeypatch, server):
    port = int(server.url.rpartition(":")[2])

    def dial(host, patience):
        assert host == "huggingface.co"
        return socket.create_connection(("127.0.0.1", port), patience)

    monkeypatch.setattr(weights, "Guard", lambda hosts: Guard(hosts, dial))


def test_a_file_is_fetched_and_opened_by_another_process(entry, monkeypatch, tmp_path):
    folder = entry()
    with serving({PATH: TINY}) as server:
        through(monkeypatch, server)
        (place,) = fetch_weights(folder)
        assert fetch_weights(folder) == [place]  # at hand by now
        assert server.asked == [f"GET {PATH}"]
    assert place == tmp_path / "cache" / "entries" / hashlib.sha256(TINY).hexdigest()
    assert (place / "w.safetensors").read_bytes() == TINY


def test_what_another_process_cannot_open_is_not_opened_here(entry, monkeypatch):
    header = TINY[: 8 + int.from_bytes(TINY[:8], "little")]
    full_of_nan = header + b"\xff" * (len(TINY) - len(header))
    folder = entry(content=full_of_nan)
    with serving({PATH: full_of_nan}) as server:
        through(monkeypatch, server)
        with pytest.raises(ArtefactError, match=r"cannot be loaded by itself: .*NaN"):
            fetch_weights(folder)


@pytest.mark.parametrize("ref", ["../w.safetensors", "/etc/w.safetensors", ".w.safetensors", "a\\w.safetensors"])
def test_no_name_of_a_file_leads_elsewhere(entry, monkeypatch, ref, tmp_path):
    with serving({PATH: TINY}) as server:
        through(monkeypatch, server)
        with pytest.raises(ArtefactError, match="no plain name of a file"):
            fetch_weights(entry(ref))
        assert not server.asked
    assert not (tmp_path / "cache").exists()


def test_a_server_that_is_gone_is_told(entry, monkeypatch):
    with serving({PATH: Answer(404)}) as server:
        through(monkeypatch, server)
        with pytest.raises(InputError, match="HTTP 404"):
            fetch_weights(entry())


def test_a_network_that_anyone_has_needs_no_file(root):
    assert fetch_weights(root / "submissions/digits-v1/digits-tiny-linf--magnitude-global-90") == []


def test_weights_that_anyone_can_have_are_brought(entry, monkeypatch):
    brought = []
    known = SOURCES["published"]
    monkeypatch.setitem(
        SOURCES._entries, "published", replace(known, fetch=brought.append, at_hand=lambda name: name == "there")
    )
    folder = carrying(entry())
    for parent, wanted in (("published:absent", ["absent"]), ("published:there", []), ("embedded:x", [])):
        brought.clear()
        fetch_weights(beside(folder, f"child-{parent.partition(':')[2]}", parent=parent))
        assert brought == wanted


def test_a_network_that_takes_all_memory_takes_none_here(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(TINY)
    plain = Normalisation(mean=(0.0,), std=(1.0,))
    with pytest.raises(ArtefactError, match=r"cannot be loaded by itself: .*allocate"):
        weights._try(path, "digits-tiny?img_size=60000", plain)  # images of 14 gigabytes


def test_the_parent_s_file_comes_from_the_parent_s_own_entry(entry, monkeypatch, tmp_path):
    parent = entry("theirs.safetensors")
    weights_of = read_result(parent / "result.json").model.weights_sha256
    changes = {"normalisation": None, "ref": "embedded:x", "parent": "p.safetensors", "parent_sha256": weights_of}
    child = beside(parent, "child", **changes, weights_sha256="0" * 64)
    tried = []
    monkeypatch.setattr(weights, "_try", lambda *given: tried.append(given[0].name))
    with serving({PATH: TINY}) as server:
        through(monkeypatch, server)
        (place,) = fetch_weights(child)
    assert (place / "p.safetensors").read_bytes() == TINY
    assert tried == ["p.safetensors"]
    shutil.rmtree(parent)
    with pytest.raises(InputError, match="publish the parent first"):
        fetch_weights(child)

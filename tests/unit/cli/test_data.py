"""The files of data sets, from the command line against a server on the loopback."""

import hashlib
import json

import pytest

from bench.cli.main import run
from tests.support.loopback import Answer, serving
from tests.support.published import tell

CONTENT = b"matrices" * 10_000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
NAME = "test_32x32.mat"


@pytest.fixture(autouse=True)
def house(monkeypatch, tmp_path):
    """Return the data folder, with a small file published as a split of SVHN."""
    tell(monkeypatch, "svhn", "test", CONTENT, server="http://127.0.0.1:9")
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "data" / "svhn"


def publish(monkeypatch, server):
    tell(monkeypatch, "svhn", "test", server=server.url)


def test_a_data_set_is_fetched_once_and_its_terms_are_told(house, monkeypatch, capsys):
    with serving({f"/{NAME}": CONTENT}) as server:
        publish(monkeypatch, server)
        for _ in range(2):
            assert run(["data", "fetch", "svhn", "--split", "test"]) == 0
        assert server.asked == [f"GET /{NAME}"]
    told = capsys.readouterr()
    assert (house / NAME).read_bytes() == CONTENT
    assert f"test: {NAME} in {house}" in told.out
    assert "non-commercial" in told.err


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (Answer(404), 3, "HTTP 404"),
        (Answer(200, b"<html><title>Sign in</title>", {"Content-Type": "text/html"}), 3, "web page called 'Sign in'"),
        (b"other bytes", 4, "was published"),
    ],
)
def test_what_cannot_be_had_says_what_to_place_where(house, monkeypatch, capsys, answer, code, says):
    with serving({f"/{NAME}": answer}) as server:
        publish(monkeypatch, server)
        assert run(["data", "fetch", "svhn", "--split", "test"]) == code
    told = capsys.readouterr().err
    assert says in told
    assert code == 4 or f"place {NAME} (md5 {MD5}" in told
    assert not list(house.iterdir())


def test_a_damaged_file_is_set_aside_and_fetched_again(house, monkeypatch, capsys):
    house.mkdir(parents=True)
    (house / NAME).write_bytes(CONTENT[:-1])
    with serving({f"/{NAME}": CONTENT}) as server:
        publish(monkeypatch, server)
        assert run(["data", "fetch", "svhn", "--split", "test"]) == 0
    assert (house / NAME).read_bytes() == CONTENT
    assert (house / f"{NAME}.not-as-published").read_bytes() == CONTENT[:-1]
    assert f"it is {house / NAME}.not-as-published now" in capsys.readouterr().err


def test_a_file_from_elsewhere_is_placed_if_it_is_the_published_one(house, tmp_path, capsys):
    given = tmp_path / NAME
    given.write_bytes(CONTENT)
    assert run(["data", "place", "svhn", str(given)]) == 0
    assert (house / NAME).read_bytes() == CONTENT
    given.write_bytes(CONTENT + b"x")
    assert run(["data", "place", "svhn", str(given)]) == 4
    assert (house / NAME).read_bytes() == CONTENT
    assert run(["data", "place", "svhn", str(given.rename(tmp_path / "mine.mat"))]) == 2
    assert "is no file of svhn" in capsys.readouterr().err


def states(capsys):
    return {line["file"]: line["state"] for line in json.loads(capsys.readouterr().out)["files"]}


def test_files_are_held_against_the_published_digests(house, capsys):
    assert run(["data", "check", "svhn", "--json"]) == 0
    assert states(capsys) == {NAME: "absent", "train_32x32.mat": "absent"}
    house.mkdir(parents=True)
    (house / NAME).write_bytes(CONTENT)
    assert run(["data", "check", "svhn", "--json"]) == 0
    assert states(capsys)[NAME] == "as published"
    (house / NAME).write_bytes(CONTENT[1:])
    assert run(["data", "check", "svhn", "--json"]) == 4
    assert "was published" in states(capsys)[NAME]


def test_what_needs_consent_is_placed_by_hand(capsys):
    assert run(["data", "fetch", "imagenet"]) == 3
    told = capsys.readouterr().err
    assert "its owners ask everyone to accept their terms" in told
    assert "place ILSVRC2012_img_val.tar (md5 29b22e2961454d5413ddabcf34fc5622" in told


def test_what_is_installed_needs_no_fetching(capsys):
    assert run(["data", "fetch", "digits"]) == 2
    assert "comes with what is installed" in capsys.readouterr().err


def test_every_published_file_is_listed_with_its_digest_and_terms(capsys):
    assert run(["data", "list", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {one["data set"] for one in files} == {"cifar10", "cifar100", "imagenet", "imagenette", "mnist", "svhn"}
    assert all(one["digest"].startswith("md5 ") and one["terms"] for one in files)

"""Weights from elsewhere: the real clients against servers on the loopback with the quirks of the real hosts."""

import hashlib

import pytest
import torch

from bench.cli.main import run
from bench.errors import ArtefactError, InputError
from bench.models import drive
from bench.models.architecture import ARCHITECTURES
from bench.models.source import ModelRef, load
from bench.models.weights import save
from bench.models.zoo import robustbench
from bench.offline import offline
from tests.support.loopback import Answer, serving

ROBUST = "cifar10/Linf/Addepalli2022Efficient_RN18"
TIMM = "test_efficientnet.r160_in1k"
HUB = f"/timm/{TIMM}/resolve/main/model.safetensors"
COMMIT = "0" * 40
WARNING = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="download-form" action="{}/download" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="x"><input type="hidden" name="confirm" value="t"></form></body></html>"""
QUOTA = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body></body></html>"
CLOSED = b"<html><head><title>Sign in</title></head><a href='https://accounts.google.com/ServiceLogin'></a></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture(autouse=True)
def house(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "models"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return a pickled checkpoint of the network that RobustBench knows by this name."""
    path = tmp_path_factory.mktemp("shared") / "shared.pt"
    torch.save(ARCHITECTURES["resnet18"].build().state_dict(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from bench.models.source import architecture

    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    save(path, architecture(f"timm:{TIMM}").build().state_dict())
    return path.read_bytes()


def shared(name):
    return robustbench._entry(name)[1]["gdrive_id"]


def test_a_shared_checkpoint_comes_past_the_virus_warning_and_is_converted(house, monkeypatch, checkpoint, capsys):
    files = {"/download": checkpoint}
    with serving(files) as server:
        files["/uc"] = Answer(200, WARNING.format(server.url).encode(), HTML)
        monkeypatch.setattr(drive, "HOST", server.url)
        for _ in range(2):
            assert run(["models", "fetch", f"robustbench:{ROBUST}"]) == 0
        assert server.asked == [f"GET /uc?export=download&id={shared(ROBUST)}", "GET /download?id=x&confirm=t"]
    path = house / "robustbench" / f"{ROBUST}.safetensors"
    assert str(path) in capsys.readouterr().out
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "the pickle is gone"
    assert load(ModelRef("robustbench", ROBUST)).classes == 10


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(200, QUOTA, HTML), "too many people have downloaded it lately"),
        (Answer(200, CLOSED, HTML), "its owner has not shared it with everybody"),
        (Answer(200, b"<html><title>Hotel</title></html>", HTML), "a web page called 'Hotel'"),
        (Answer(200, WARNING.format("https://example.org").encode(), HTML), "Virus scan warning"),
        (Answer(404), "HTTP 404"),
    ],
)
def test_a_page_in_place_of_a_checkpoint_is_told_apart(house, monkeypatch, capsys, answer, says):
    with serving({"/uc": answer}) as server:
        monkeypatch.setattr(drive, "HOST", server.url)
        assert run(["models", "fetch", f"robustbench:{ROBUST}"]) == 3
    assert says in capsys.readouterr().err
    assert not [path for path in house.rglob("*") if path.is_file()]


def test_a_checkpoint_of_another_network_is_not_kept(house, tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(ArtefactError):
        robustbench.place(ROBUST, tmp_path / "other.pt")
    assert not [path for path in house.rglob("*") if path.is_file()]


def test_a_checkpoint_that_the_user_has_is_placed_once(house, tmp_path, checkpoint, capsys):
    (tmp_path / "mine.pt").write_bytes(checkpoint)
    assert run(["models", "place", f"robustbench:{ROBUST}", str(tmp_path / "mine.pt")]) == 0
    assert run(["models", "place", f"robustbench:{ROBUST}", str(tmp_path / "mine.pt")]) == 2
    assert "remove them to place others" in capsys.readouterr().err
    assert (tmp_path / "mine.pt").exists()


def test_sources_that_need_no_fetching_say_so(capsys):
    assert run(["models", "fetch", "embedded:digits-cnn-linf"]) == 2
    assert "should be published:NAME or robustbench:NAME or timm:NAME" in capsys.readouterr().err


def test_a_name_that_the_installed_zoo_lacks_says_what_would_know_it():
    with pytest.raises(Exception, match=r"the installed robustbench 1\.1\.1; a newer release of it brings its own"):
        load(ModelRef("robustbench", "cifar10/Linf/Nobody2030"))


def hub(files, **more):
    return serving(files, {"X-Repo-Commit": COMMIT}, **more)


def test_weights_come_from_the_hub_by_redirect_and_serve_without_a_network(house, monkeypatch, weights, capsys):
    mark = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{hashlib.sha256(weights).hexdigest()}"'}
    mark |= {"X-Linked-Size": str(len(weights)), "Location": "/cdn/blob"}
    with hub({HUB: Answer(302, b"", mark), "/cdn/blob": weights}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert run(["models", "fetch", f"timm:{TIMM}"]) == 0
        assert "GET /cdn/blob" in server.asked
    with offline():
        assert load(ModelRef("timm", TIMM)).notes["source"] == f"timm/{TIMM}@{COMMIT}"


def test_other_bytes_than_the_hub_names_are_refused_and_forgotten(monkeypatch, weights, tmp_path):
    wrong = Answer(200, weights, {"X-Repo-Commit": COMMIT, "ETag": f'"{"a" * 64}"'})
    with serving({HUB: wrong}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(ArtefactError, match=f"where the hub has {'a' * 64}"):
            load(ModelRef("timm", TIMM))
    with offline(), pytest.raises(InputError):
        load(ModelRef("timm", TIMM))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(404, headers={"X-Error-Code": "RevisionNotFound"}), "404"),
        (Answer(401, headers={"X-Error-Code": "GatedRepo"}), "401|gated|restricted"),
        (Answer(200, b"<html><title>Hotel</title></html>", HTML), "hub"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence_with_a_way_out(monkeypatch, tmp_path, answer, says):
    with serving({HUB: answer}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(InputError, match=says) as caught:
            load(ModelRef("timm", TIMM))
    assert "place model.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_busy_hub_is_asked_again(monkeypatch, weights):
    busy = [Answer(429, headers={"Retry-After": "0"})]
    with hub({HUB: weights}, before={HUB: busy}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert load(ModelRef("timm", TIMM)).classes == 1000
        assert server.asked.count(f"GET {HUB}") == 2


def test_a_line_to_the_hub_that_breaks_is_taken_up_again(monkeypatch, weights):
    mark = {"ETag": f'"{hashlib.sha256(weights).hexdigest()}"', "X-Repo-Commit": COMMIT}
    with hub({HUB: weights}, before={HUB: [Answer(200, weights, mark, cut=len(weights) // 2)]}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert load(ModelRef("timm", TIMM)).classes == 1000
        assert server.asked.count(f"GET {HUB}") == 2


def test_offline_without_a_cache_says_what_to_place_where():
    with offline(), pytest.raises(InputError, match="not on this machine; a run fetches them from the hub, or place"):
        load(ModelRef("timm", TIMM))


def test_a_file_is_placed_for_timm_if_it_loads(house, tmp_path, weights, capsys):
    (tmp_path / "mine.safetensors").write_bytes(weights)
    assert run(["models", "place", f"timm:{TIMM}", str(tmp_path / "mine.safetensors")]) == 0
    assert run(["models", "list", "--json"]) == 0
    assert f'"timm:{TIMM}"' in capsys.readouterr().out
    save(tmp_path / "other.safetensors", {"weight": torch.zeros(2)})
    (house / "timm" / f"{TIMM}.safetensors").unlink()
    assert run(["models", "place", f"timm:{TIMM}", str(tmp_path / "other.safetensors")]) == 4
    assert not (house / "timm" / f"{TIMM}.safetensors").exists()

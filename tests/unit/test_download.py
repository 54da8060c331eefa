"""The real client against a real server on the loopback: parts, broken lines, busy servers, pages, wrong bytes."""

import fcntl
import hashlib
import random

import pytest

from bench import download
from bench.download import PageError, Remote, fetch, hold, showing
from bench.errors import ArtefactError, BenchError, InputError
from tests.support.loopback import Answer, serving

CONTENT = random.Random(0).randbytes(300_000)
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SHA = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html><head><title>Please sign in</title></head><body>hotel</body></html>"


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Return the seconds that were waited, without waiting."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = []
    monkeypatch.setattr(download.time, "sleep", found.append)
    return found


def remote(server, digest=MD5, size=None):
    return Remote("set/file.bin", f"{server.url}/file.bin", digest, size)


@pytest.mark.parametrize("digest", [MD5, SHA, ""])
def test_a_file_is_fetched_once_with_its_progress(tmp_path, digest):
    told = []
    with serving({"/file.bin": CONTENT}) as server, showing(lambda *part: told.append(part)):
        path = fetch(remote(server, digest, len(CONTENT)), tmp_path)
        assert fetch(remote(server, digest, len(CONTENT)), tmp_path) == path == tmp_path / "set" / "file.bin"
        assert server.asked == ["GET /file.bin"]
    assert path.read_bytes() == CONTENT
    assert told[-1] == ("set/file.bin", len(CONTENT), len(CONTENT))
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


def test_what_an_interrupted_process_left_is_gone_on_with(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin.part").write_bytes(CONTENT[:100_000])
    with serving({"/file.bin": CONTENT}) as server:
        assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
        assert server.headers[0]["Range"] == "bytes=100000-"


def test_a_part_without_a_published_digest_is_not_trusted(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin.part").write_bytes(b"x" * 100)
    with serving({"/file.bin": CONTENT}) as server:
        assert fetch(remote(server, ""), tmp_path).read_bytes() == CONTENT
        assert "Range" not in server.headers[0]


def test_a_part_of_another_version_is_thrown_away(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin.part").write_bytes(b"x" * 100_000)
    with serving({"/file.bin": CONTENT}) as server:
        assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
        assert len(server.asked) == 2


def test_a_part_that_is_whole_already_is_taken(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin.part").write_bytes(CONTENT)
    with serving({"/file.bin": CONTENT}) as server:
        assert fetch(remote(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("digest", [MD5, ""])
@pytest.mark.parametrize("parts", [True, False])
def test_a_line_that_breaks_is_taken_up_again(tmp_path, digest, parts):
    with serving({"/file.bin": CONTENT}, parts=parts) as server:
        mark = f'"{hashlib.sha256(CONTENT).hexdigest()}"'
        broken = [Answer(200, CONTENT, {"ETag": mark}, cut=90_000)]
    with serving({"/file.bin": CONTENT}, before={"/file.bin": broken}, parts=parts) as server:
        assert fetch(remote(server, digest), tmp_path).read_bytes() == CONTENT
        assert server.headers[1]["Range"] == "bytes=90000-"
        assert server.headers[1]["If-Range"] == mark


def test_a_file_that_changes_between_two_parts_is_started_anew(tmp_path):
    broken = [Answer(200, b"x" * len(CONTENT), {"ETag": '"older"'}, cut=90_000)]
    with serving({"/file.bin": CONTENT}, before={"/file.bin": broken}) as server:
        assert fetch(remote(server, ""), tmp_path).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again_when_it_says(tmp_path, waits):
    busy = [Answer(429, headers={"Retry-After": "7"}), Answer(503)]
    with serving({"/file.bin": CONTENT}, before={"/file.bin": busy}) as server:
        assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert waits == [7.0, 2.0]


def test_a_server_that_stays_busy_is_given_up(tmp_path, waits):
    busy = [Answer(429, headers={"Retry-After": "100000"})] * 9
    with serving({"/file.bin": CONTENT}, before={"/file.bin": busy}) as server, pytest.raises(InputError, match="429"):
        fetch(remote(server), tmp_path)
    assert waits == [60.0] * 4
    assert not list((tmp_path / "set").iterdir())


def test_a_line_that_always_breaks_is_given_up_and_keeps_what_came(tmp_path):
    mark = {"ETag": '"a"'}
    first = Answer(200, CONTENT, mark, cut=1000)
    dead = [first] + [Answer(206, CONTENT[1000:], mark, cut=0)] * 9
    with serving({}, before={"/file.bin": dead}) as server, pytest.raises(InputError, match="byte 1,000"):
        fetch(remote(server), tmp_path)
    assert (tmp_path / "set" / "file.bin.part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_is_gone_or_closed_is_told_at_once(tmp_path, waits, status):
    with serving({"/file.bin": Answer(status)}) as server, pytest.raises(InputError, match=f"HTTP {status}"):
        fetch(remote(server), tmp_path)
    assert not waits


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_page_in_place_of_a_file_is_recognised(tmp_path, kind):
    page = Answer(200, PAGE, {"Content-Type": kind})
    with serving({"/file.bin": page}) as server, pytest.raises(PageError, match="web page called 'Please sign in'"):
        fetch(remote(server), tmp_path)
    assert not list((tmp_path / "set").iterdir())


@pytest.mark.parametrize("wrong", [{"digest": MD5[:-1] + "x"}, {"digest": "", "size": 17}])
def test_other_bytes_than_published_are_not_kept(tmp_path, wrong):
    with serving({"/file.bin": CONTENT}) as server, pytest.raises(ArtefactError, match="published"):
        fetch(remote(server, **wrong), tmp_path)
    assert not list((tmp_path / "set").iterdir())


def test_a_placed_file_that_is_another_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"mine")
    with pytest.raises(ArtefactError, match=f"md5 [0-9a-f]+ where {MD5[4:]} was published"):
        hold(path, Remote("file.bin", "https://example.org/file.bin", MD5))
    assert path.read_bytes() == b"mine"


def test_two_processes_do_not_write_one_file(tmp_path):
    (tmp_path / "set").mkdir()
    with serving({"/file.bin": CONTENT}) as server, (tmp_path / "set" / "file.bin.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            fetch(remote(server), tmp_path)


def test_no_network_and_no_room_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="refused"):
        fetch(Remote("file.bin", "http://127.0.0.1:9/file.bin", MD5), tmp_path)
    (tmp_path / "set").write_text("in the way")
    with pytest.raises(BenchError, match="cannot write"):
        fetch(Remote("set/file.bin", "http://127.0.0.1:9/file.bin", MD5), tmp_path)

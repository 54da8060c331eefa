"""Weights that a stranger names: what lies at the address, where it leads, and what the bytes say of themselves."""

import hashlib
import json
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import download, guard
from bench.download import PageError, Remote, fetch
from bench.errors import ArtefactError, InputError
from bench.guard import Guard, public
from bench.header import read_header
from bench.models.weights import read
from bench.submission.check import problems
from bench.submission.links import serving as hosts_of
from tests.support.builders import write
from tests.support.carrying import carry, packed
from tests.support.loopback import Answer, serving

HUB = f"https://huggingface.co/someone/net/resolve/{40 * '0'}/w.safetensors"
PATH = HUB.removeprefix("https://huggingface.co")


def tensor(begin=0, end=16, dtype="F32", shape=(2, 2)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


GOOD = packed({"w": tensor(), "__metadata__": {"format": "pt"}}, bytes(16))


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda _: None)


def within(server, hosts=("huggingface.co", ".hf.co")):
    """Return a guard that reaches the loopback under the names of public hosts; a name with ``inside`` is private."""
    port = int(server.url.rpartition(":")[2])

    def dial(host, patience):
        if "inside" in host:
            return guard.dial(host, patience)
        return socket.create_connection(("127.0.0.1", port), patience)

    return Guard(hosts, dial)


def remote(server, content=GOOD, **more):
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Remote("w.safetensors", HUB, digest, **{"most": 4096, "through": within(server), **more})


def to(place, status=302):
    return Answer(status, b"", {"Location": place})


def test_a_file_comes_by_way_of_listed_hosts(tmp_path):
    files = {PATH: to("https://cdn-lfs.hf.co/stored"), "/stored": GOOD}
    with serving(files) as server:
        assert fetch(remote(server), tmp_path).read_bytes() == GOOD
        assert [asked["Host"] for asked in server.headers] == ["huggingface.co", "cdn-lfs.hf.co"]


ELSEWHERE = [
    "http://huggingface.co/w", "https://evil.example/w", "https://huggingface.co.evil.example/w", "ftp://huggingface.co/w",
    "https://127.0.0.1/w", "https://[::1]/w", "https://huggingface.co:8443/w", "https://user@huggingface.co/w",
    "https://huggingface.co\\@evil.example/w", "file:///etc/passwd", "https://xhf.co/w", "https://169.254.169.254/latest",
    "//evil.example/w", "https://2130706433/w",
]  # fmt: skip


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_redirect_to_another_place_is_not_followed(tmp_path, place):
    with serving({PATH: to(place)}) as server, pytest.raises((ArtefactError, InputError)):
        fetch(remote(server), tmp_path)
    assert server.asked == [f"GET {PATH}"]
    assert not list(tmp_path.iterdir())


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
    "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_inwards_is_not_asked(tmp_path, monkeypatch, address):
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    # a public address first: one that is not public is enough to refuse the name
    found = [(kind, socket.SOCK_STREAM, 6, "", (text, 443)) for text in ("151.101.1.140", address)]
    monkeypatch.setattr(guard.socket, "getaddrinfo", lambda *_, **__: found)
    connected = []
    monkeypatch.setattr(guard.socket, "create_connection", connected.append)
    with pytest.raises(ArtefactError, match="not a public one"):
        guard.dial("inside.hf.co", 1.0)
    assert not connected
    assert public(ip_address("151.101.1.140"))
    assert public(ip_address("2a04:4e42::396"))


def test_a_redirect_to_a_listed_name_that_leads_inwards_is_not_asked(tmp_path, monkeypatch):
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]
    with serving({PATH: to("https://inside.hf.co/w")}) as server:
        real = socket.getaddrinfo
        monkeypatch.setattr(
            guard.socket,
            "getaddrinfo",
            lambda host, *rest, **more: inside if "hf.co" in host else real(host, *rest, **more),
        )
        with pytest.raises(ArtefactError, match=r"inside\.hf\.co has the address 127"):
            fetch(remote(server), tmp_path)
    assert not list(tmp_path.iterdir())


def test_redirects_in_a_circle_end(tmp_path):
    with serving({PATH: to(HUB)}) as server, pytest.raises(InputError, match="cannot be fetched"):
        fetch(remote(server), tmp_path)
    assert len(server.asked) < 8


def test_other_bytes_than_pinned_are_not_kept(tmp_path):
    with serving({PATH: GOOD[:-1] + b"x"}) as server, pytest.raises(ArtefactError, match="sha256"):
        fetch(remote(server), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("told", [True, False])
def test_no_more_is_taken_than_was_said(tmp_path, told):
    much = Answer(200, bytes(3_000_000), {} if told else {"Transfer-Encoding": "identity", "Connection": "close"})
    with serving({PATH: much}) as server, pytest.raises(ArtefactError, match=r"at most 4,096 are taken"):
        fetch(remote(server), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_page_is_told_as_one(tmp_path):
    page = Answer(200, b"<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html"})
    with serving({PATH: page}) as server, pytest.raises(PageError, match="Sign in"):
        fetch(remote(server), tmp_path)
    assert not list(tmp_path.iterdir())


def test_hosts_hang_on_the_locator():
    assert hosts_of(HUB)[0] == "huggingface.co"
    assert hosts_of("https://example.org/w.safetensors") == ()
    with pytest.raises(ArtefactError, match="at no host"):
        Guard(()).hold(HUB)


DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
HEADERS = {
    "a pickle": b"\x80\x04\x95\x1d" + bytes(7) + b"\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R.",
    "a zip": b"PK\x03\x04" + bytes(200),
    "nothing": b"",
    "a page": b"<!DOCTYPE html><html></html>",
    "an endless header": struct.pack("<Q", 2**63) + b"{}",
    "a header beyond the file": struct.pack("<Q", 1000) + b"{}",
    "a deep header": packed(DEEP),
    "no JSON": packed(b"{'w': 1}"),
    "no UTF-8": packed(b'{"\xff": 1}'),
    "a list": packed(b"[]"),
    "spaces first": packed(b"  {}"),
    "a key twice": packed(b'{"w": %(t)s, "w": %(t)s}' % {b"t": json.dumps(tensor()).encode()}, bytes(16)),
    "a key twice inside": packed(b'{"w": {"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}}', bytes(16)),
    "NaN": packed(b'{"w": {"dtype":"F32","shape":[NaN],"data_offsets":[0,16]}}', bytes(16)),
    "a number of a thousand digits": packed(b'{"w": {"shape": [1' + b"0" * 1000 + b"]}}"),
    "a fraction": packed({"w": tensor(shape=(2.0, 2.0))}, bytes(16)),
    "a truth": packed({"w": tensor(shape=(True, 4))}, bytes(16)),
    "below zero": packed({"w": tensor(shape=(-2, -2))}, bytes(16)),
    "too many axes": packed({"w": tensor(0, 4, shape=(1,) * 40)}, bytes(4)),
    "too long an axis": packed({"w": tensor(0, 0, shape=(0, 2**60))}),
    "overlapping": packed({"a": tensor(), "b": tensor(8, 24)}, bytes(24)),
    "one place for two": packed({"a": tensor(), "b": tensor()}, bytes(16)),
    "a gap": packed({"a": tensor(), "b": tensor(32, 48)}, bytes(48)),
    "hidden bytes behind": packed({"w": tensor()}, bytes(1000)),
    "hidden bytes in front": packed({"w": tensor(4, 20)}, bytes(20)),
    "bytes that are not there": packed({"w": tensor(shape=(2**20, 2**20), end=2**42)}),
    "another size than the shape's": packed({"w": tensor(shape=(3, 3))}, bytes(16)),
    "an unknown type": packed({"w": tensor(dtype="O")}, bytes(16)),
    "another key": packed({"w": tensor() | {"code": "x"}}, bytes(16)),
    "a number for a tensor": packed({"w": 3}),
    "words that are none": packed({"__metadata__": {"a": [1]}, "w": tensor()}, bytes(16)),
    "a name of half a megabyte": packed({"w" * 500_000: tensor()}, bytes(16)),
    "too many tensors": packed({str(n): tensor(0, 0, shape=(0,)) for n in range(20_001)}),
}  # fmt: skip


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_a_header_that_two_readers_may_read_differently_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="no valid safetensors") as told:
        read(path)
    assert len(str(told.value)) < 700


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_such_a_file_in_a_folder_is_refused(tmp_path, content):
    (told,) = problems(carry(write(tmp_path), content))
    assert "no valid safetensors file" in told or "bytes; at most 1048576 are read" in told
    assert len(told) < 700


def test_a_good_header_is_read():
    assert read_header(GOOD, "w") == {"w": ("F32", (2, 2))}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["F32", "U8"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["dtype", "shape", "data_offsets", "w", "__metadata__"]), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.binary(max_size=60) | values.map(lambda value: packed(json.dumps(value).encode(), bytes(8))))
def test_no_bytes_make_the_reader_of_headers_fail_otherwise(content):
    with suppress(ArtefactError):
        read_header(content, "w")

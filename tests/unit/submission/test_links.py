"""A link has one reading: every browser finds the host in it that this parse finds."""

import pytest

from bench.submission.links import https, pinned

HEX = "0a" * 20


@pytest.mark.parametrize(
    "address",
    [
        "https://arxiv.org/abs/2108.08560",
        "https://example.org",
        "https://xn--bcher-kva.example/a%20b;c=d?e=f&g#h",
        "https://a.b-c.example.org/~x/(y)!'*,+@:/",
        f"https://{'a' * 63}.org/{'x' * 1900}",
    ],
)
def test_addresses_that_readers_may_follow(address):
    assert https(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "", "https://", "https:///x", "http://example.org", "HTTPS://example.org", "https:example.org", "//example.org",
        "javascript:alert(1)", "data:text/html,x", "https://exa mple.org", "https://example.org/a b", "https://example.org\n",
        "https://example.org/\t", "https://user@example.org/", "https://user:pass@example.org/", "https://example.org:443/",
        "https://example.org:", "https://localhost/", "https://127.0.0.1/", "https://0x7f.1/", "https://2130706433/",
        "https://[::1]/", "https://[bad", "https://bücher.example/", "https://еxample.org/", "https://example.org./",
        "https://.example.org/", "https://example..org/", "https://-a.org/", "https://a-.org/",
        f"https://{'a' * 64}.org/",
        f"https://{'a.' * 130}org/", "https://example.org\\@evil.org/", "https://example.org/\\..", "https://example.org/%zz",
        "https://example.org/<script>", "https://example.org/\"onmouseover='x'", "https://example.org/\u202egnp.exe",
        "https://example.org/\ud800", f"https://example.org/{'x' * 2000}", "https://example.org/#a#b",
        "https://EXAMPLE.org/", "https://example.org%2fevil/", "https://example.org/`id`", "https://example.org/{x}",
    ],
)  # fmt: skip
def test_anything_that_could_be_read_in_two_ways_is_no_link(address):
    with pytest.raises(ValueError, match="is not an https address"):
        https(address)
    assert not pinned(address)


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        (f"https://huggingface.co/owner/name/resolve/{HEX}/model.safetensors", True),
        (f"https://huggingface.co/owner/name/resolve/{HEX}/a/b.safetensors?download=true", True),
        ("https://huggingface.co/owner/name/resolve/main/model.safetensors", False),
        (f"https://huggingface.co/owner/name/resolve/{HEX[:-1]}/model.safetensors", False),
        (f"https://huggingface.co/owner/name/blob/{HEX}/model.safetensors", False),
        (f"https://huggingface.co/owner/name/resolve/{HEX}/../../main/x", False),
        (f"https://huggingface.co/owner/name/resolve/{HEX}/%2e%2e/%2E%2e/main/x", False),
        ("https://zenodo.org/records/123/files/model.safetensors", True),
        ("https://zenodo.org/records/123/files/model.safetensors?download=1", True),
        ("https://zenodo.org/records/123", False),
        ("https://github.com/owner/name/releases/download/v1/model.safetensors", True),
        (f"https://github.com/owner/name/raw/{HEX}/model.safetensors", True),
        ("https://github.com/owner/name/raw/main/model.safetensors", False),
        (f"https://raw.githubusercontent.com/owner/name/{HEX}/model.safetensors", True),
        (f"https://evil.org/?x=/{HEX}/", False),
        ("https://evil.org/#//zenodo.org/records/1/files/x", False),
        ("https://zenodo.org.evil.org/records/1/files/x", False),
    ],
)
def test_weights_lie_where_files_stay_what_they_are(address, stays):
    assert pinned(address) == stays

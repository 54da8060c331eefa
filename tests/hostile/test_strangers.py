"""Whatever passes the check builds, into a site without a problem, and nobody else's numbers change by it."""

import contextlib
import json
import random
import re
import shutil
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import SubmissionError
from bench.site import inspect
from bench.site.build import build
from bench.submission.check import problems
from bench.submission.files import canonical
from tests.support.builders import write
from tests.support.carrying import carry
from tests.support.signers import verify

LARGEST = 2**53 - 1
SCRIPTS = (
    "abc xyz", "ÀéñßøŁ", "Привет", "ελληνικά", "שלום", "مرحبا", "漢字かな", "ไทย", "हिन्दी", "가나다",
    "e\u0301\u0302\u0303", "👨\u200d👩\u200d👧\u200d👦", "🇩🇪🇫🇷", "👍🏽", "🙂", "𝔐𝔞𝔱𝔥", "…—–″′", "\u00a0\u202f\u3000",
    "</script><img src=x onerror=alert(1)>", "{{ 7 * 7 }}{% raw %}", "'\"`$(id);|&\\", "=cmd|' /C calc'!A0",
    "\\end{document}%#_{}", "<!--", "]]>", "&lt;", "javascript:alert(1)", "\\ud83d\\ude00", "%s%n{0}",
)  # fmt: skip
ANY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
COUNT = st.integers(0, LARGEST) | st.just(LARGEST) | st.just(0)
SPENT = st.integers(10**7, 10**9)
FIGURE = st.none() | st.floats(-1e300, 1e300)
LINKS = [
    None, "https://example.org/a%20b?q=1#x", "https://xn--bcher-kva.example/",
    f"https://{'a' * 63}.{'b' * 63}.example.org/{'c' * 1500}",
]  # fmt: skip
NO_LINKS = [
    "https://exa mple.org/", "https://user:pass@example.org/", "https://example.org:443/", "https://bücher.example/",
    "https://127.0.0.1/", "https://[::1]/", "https://[bad", "https://localhost/", "https://example.org\\@evil.org/",
    "https://example.org/%zz", "https://example..org/", "https://-a.org/", "HTTPS://example.org/", "https://example.org.",
    "https://example.org/\u202egnp", "javascript:alert(1)", "//example.org/", "https:example.org", "https://a.b\n.org/",
]  # fmt: skip
HUB = f"https://huggingface.co/a/b/resolve/{'0a' * 20}/model.safetensors"
RELEASE = "https://github.com/a/b/releases/download/v1/x"
CARRIED = "weights.safetensors"
PLACES = [HUB, RELEASE, "https://zenodo.org/records/1/files/x?download=1", CARRIED]
NO_PLACES = [
    f"https://evil.org/?x=/{'0a' * 20}/", "https://zenodo.org/records/1", "https://huggingface.co/a/b/resolve/main/x",
    "net.safetensors", "embedded:small pruned by charm", "python:os:system", "../x",
    "file:///etc/passwd", f"{HUB}#x", f"{HUB}/../../x", "http://zenodo.org/records/1/files/x",
]  # fmt: skip

REFS = ["embedded:small", "published:cifar10-cnn-a-adv", "timm:resnet18.a1_in1k", "robustbench:cifar10/Linf/A2024b_WRN"]
NO_REFS = [
    "python:os:abort", "python:os:abort?weights=x.safetensors", "memory:net", "entry:net", "weights.pkl", "--help",
    "https://example.org/x.pt", "https://example.org/x.safetensors", "../x.safetensors", "-x.safetensors", "net",
    "timm:--help", "embedded:$(id)", "embedded:a b", "embedded:'", "embedded:", "timm:x!", "C:x.safetensors",
    ".x.safetensors",
]  # fmt: skip


@st.composite
def strangers(draw, *, wild):
    """What a stranger may write into every field that is theirs; ``wild`` ones also write what no field may hold."""

    def words(most):
        parts = draw(
            st.lists(st.sampled_from(SCRIPTS) | ANY if wild else st.sampled_from(SCRIPTS), min_size=1, max_size=14)
        )
        return " ".join(parts)[:most].strip() or "x"

    def one_of(good, bad):
        return draw(st.sampled_from([*good, *bad] if wild else good))

    def several(make, most, least=0):
        return [make() for _ in range(draw(st.integers(least, most)))]

    layers = []
    for number in range(draw(st.integers(1, 12))):
        weights, share = draw(st.integers(1, 10**9)), draw(st.integers(0, 100))
        layer = {"name": f"{words(60)} {number}", "shape": [weights], "weights": weights, "macs": draw(COUNT)}
        layers.append(layer | {"zeros": weights * share // 100})
    prunable, zeros = sum(layer["weights"] for layer in layers), sum(layer["zeros"] for layer in layers)
    left, macs = prunable - zeros, sorted((draw(COUNT), draw(COUNT)))
    flag = {"check": "replay", "level": "warn"}
    flags = several(lambda: flag | {"figure": draw(FIGURE), "threshold": draw(FIGURE), "says": words(500)}, 9)
    return {
        "identity": one_of(["stranger", "linf", "index.html", "a..b", "x" * 120], ["main", "con", "fig-x", "end."]),
        "people": {
            "name": words(90), "method": words(90), "licence": words(40), "description": words(900),
            "authors": several(lambda: words(40), 6, least=0 if wild else 1), "paper": one_of(LINKS, NO_LINKS),
        },
        "locator": one_of(PLACES, NO_PLACES),
        "model": {"ref": one_of(REFS, NO_REFS), "architecture": words(90), "parameters": draw(st.integers(1, LARGEST))},
        "pruning": {
            "layers": layers, "prunable": prunable, "zeros": zeros, "connected": draw(st.integers(0, left)),
            "nonzero": draw(st.integers(0, left)), "parameters": prunable, "recipe": None, "version": 0,
            "method": words(90), "regime": None, "target": None, "scope": "none",
            "nonzero_macs": macs[0], "macs": macs[1], "parent_macs": macs[1],
            "bytes_plain": draw(COUNT), "bytes_packed": draw(COUNT),
            "collapsed_layers": [layer["name"] for layer in layers if layer["zeros"] == layer["weights"]],
        },
        "classes": [f"{words(30)} {number}" for number in range(10)],
        "flags": flags,
        "environment": {key: words(100) for key in ("python", "commit", "x y")},
        "cost": {
            "seconds": draw(st.floats(0 if wild else 7e11, 1e12)), "forwards": draw(SPENT), "backwards": draw(SPENT),
            "machine": {
                "processor": draw(st.none() | st.just(words(100))),
                "accelerator": draw(st.none() | st.just(words(100))),
                "threads": draw(st.none() | st.integers(1, LARGEST)),
            },
            "energy": [{"meter": "nvml", "joules": draw(st.floats(0, 1e15))}],
            "latency": {
                "clock": "wall", "batch": 1, "repeats": LARGEST, "parent": None,
                "network": {key: [1e-300, draw(st.floats(1e-300, 1e12)), 1e12] for key in ("forward", "both")},
            },
        },
        "says": words(900),
    }  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return an entry whose words are to be replaced."""
    root = tmp_path_factory.mktemp("bare")
    return write(root, recipe="of others", sparsity=Fraction(1, 2), theirs="x", witnesses=True)


def hand_in(bare, root, said):
    """Write an entry of which everything but the outcome is a stranger's."""
    folder = root / "digits-v1" / said["identity"]
    shutil.copytree(bare, folder)
    path = folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    for key in ("model", "pruning", "cost"):
        result[key] |= said[key]
    result["data"]["classes"] = said["classes"]
    result |= {"flags": said["flags"], "environment": said["environment"]}
    path.write_bytes(canonical(result))
    toml = (folder / "submission.toml").read_text("utf-8")
    for key, value in (said["people"] | {"id": said["identity"]}).items():
        line = "" if value is None else f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
        toml = re.sub(rf"^{key} = .*\n", "", toml, flags=re.MULTILINE)
        toml = line + toml
    located = f"locator = {json.dumps(said['locator'], ensure_ascii=False)}"
    toml = re.sub(r"^locator = .*$", lambda _: located, toml, flags=re.MULTILINE)
    (folder / "submission.toml").write_text(toml, "utf-8")
    (folder / "verification.json").unlink(missing_ok=True)
    if said["locator"] == CARRIED:
        carry(folder, ref=re.sub(r"[/\\]", " ", said["model"]["ref"]) + ".safetensors")
    with contextlib.suppress(SubmissionError):  # of what the stranger said, so that the check has a sentence, too
        verify(folder, "re-run", date(2026, 3, 3), says=said["says"])
    return folder


def numbers(files):
    """Return what the site says of the residents; a rank is a place among others, so it may move."""
    entries = json.loads(files["data/entries.json"])["entries"]
    return [entry | {"rank": None} for entry in entries if entry["id"].startswith("resident")]


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Return a folder of residents, what the site says of them, and a store of their figures."""
    root, store = tmp_path_factory.mktemp("residents"), tmp_path_factory.mktemp("figures")
    write(root, id="resident-dense", parent="resident")
    write(root, id="resident-half", parent="resident", recipe="magnitude-global", sparsity=Fraction(1, 2))
    return root, numbers(build(root, store)), store


def builds(town, bare, root, said):
    """Tell whether a stranger's entry passes the check; if it does, hold the site to its rules."""
    residents, before, store = town
    shutil.copytree(residents, root, dirs_exist_ok=True)
    if problems(hand_in(bare, root, said)):
        return False
    files = build(root, store)
    assert inspect.problems(files) == []
    assert numbers(files) == before
    return True


UNHURRIED = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(UNHURRIED, max_examples=40)
@given(said=strangers(wild=True))
def test_the_check_has_a_sentence_for_everything(bare, tmp_path_factory, said):
    root = tmp_path_factory.mktemp("new")
    found = problems(hand_in(bare, root, said))
    assert all(isinstance(sentence, str) and sentence for sentence in found)
    assert not [sentence for sentence in found if sentence.startswith("the check itself failed")]
    shutil.rmtree(root)


@pytest.mark.parametrize("key", ["ref", "parent"])
@pytest.mark.parametrize("ref", NO_REFS)
def test_what_pages_print_for_others_to_paste_names_a_network_and_nothing_that_runs(bare, tmp_path, key, ref):
    shutil.copytree(bare.parent, tmp_path / "digits-v1")
    path = tmp_path / "digits-v1" / bare.name / "result.json"
    result = json.loads(path.read_text("utf-8"))
    result["model"][key] = ref
    path.write_bytes(canonical(result))
    assert any("is no network that others can load" in problem for problem in problems(path.parent))


@settings(UNHURRIED, max_examples=3)
@given(said=strangers(wild=False))
def test_whatever_passes_the_check_builds(town, bare, tmp_path_factory, said):
    root = tmp_path_factory.mktemp("passes")
    assert builds(town, bare, root, said)
    shutil.rmtree(root)


@pytest.mark.soak
@settings(UNHURRIED, max_examples=100)
@given(said=strangers(wild=False) | strangers(wild=True))
def test_whatever_passes_the_check_builds_in_a_long_run(town, bare, tmp_path_factory, said):
    root = tmp_path_factory.mktemp("passes")
    builds(town, bare, root, said)
    shutil.rmtree(root)


def crowd(signs, count, seed):
    """Return text that no compression shortens."""
    chance = random.Random(seed)
    return "".join(chr(chance.randrange(signs[0], signs[1])) for _ in range(count))


@pytest.mark.parametrize("signs", [(0x4E00, 0x9FFF), (0x1F600, 0x1F640)], ids=["han", "emoji"])
def test_the_longest_words_that_pass_build(town, bare, tmp_path, signs):
    said = {
        "identity": "s" * 120,
        "people": {
            "name": crowd(signs, 100, 1), "method": crowd(signs, 100, 2), "licence": crowd(signs, 100, 3),
            "description": crowd(signs, 2000, 4), "paper": None,
            "authors": [crowd(signs, 100, number) for number in range(9)],
        },
        "locator": f"{HUB[:-len('model.safetensors')]}{'x' * 110}",
        "model": {"ref": f"timm:{'x' * 190}", "architecture": crowd(signs, 100, 7), "parameters": LARGEST},
        "pruning": {"parent_macs": LARGEST, "macs": LARGEST, "nonzero_macs": LARGEST, "method": crowd(signs, 100, 8)},
        "classes": [crowd(signs, 199, 30 + number) for number in range(10)],
        "flags": [
            {"check": "replay", "level": "warn", "figure": 1e300, "threshold": -1e300, "says": crowd(signs, 600, line)}
            for line in range(3)
        ],
        "environment": {f"key {number}": crowd(signs, 200, 80 + number) for number in range(8)},
        "cost": {"seconds": 1e12, "forwards": 10**9, "backwards": 10**9},
        "says": crowd(signs, 2000, 9),
    }  # fmt: skip
    assert problems(hand_in(bare, tmp_path / "alone", said)) == []
    assert builds(town, bare, tmp_path / "town", said)

"""The page of an entry says where its weights are and how to measure them again, safely for a shell."""

import re
import shlex
from collections import Counter
from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from bench.site import inspect, pages
from bench.site.account import tables
from bench.site.build import build
from bench.site.entries import Catalogue, read
from bench.site.tables import BEST, relatives
from bench.submission.schema import Normalisation
from bench.threats import Norm
from tests.support.builders import Cell, write
from tests.support.carrying import carry
from tests.support.sites import submissions

ADDRESS = f"https://example.org/{'0a' * 20}/net.safetensors"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def printed(root):
    return build(root)


def elsewhere(entry, ref):
    """Return the entry as if its weights lay in a file at an address."""
    weights = entry.submission.weights.model_copy(update={"locator": ADDRESS})
    model = entry.result.model.model_copy(
        update={
            "ref": ref,
            "architecture": "resnet20",
            "file_sha256": weights.sha256,
            "normalisation": Normalisation(mean=(0.4914, 0.4822, 0.4465), std=(0.2,)),
        }
    )
    people = entry.submission.model_copy(update={"weights": weights})
    folder = replace(entry.folder, submission=people, result=entry.result.model_copy(update={"model": model}))
    return replace(entry, folder=folder)


def context(entry):
    return pages.entry(Catalogue({entry.protocol.name: [entry]}), entry).context


def test_weights_at_an_address_are_fetched_checked_and_evaluated(tmp_path):
    write(tmp_path)
    (entry,) = read(tmp_path)
    fetch, check, evaluate = context(elsewhere(entry, "net.safetensors"))["command"].splitlines()
    assert shlex.split(fetch) == ["curl", "--fail", "--location", "--output", "net.safetensors", ADDRESS]
    assert f"{entry.submission.weights.sha256}  net.safetensors" in shlex.split(check)
    assert shlex.split(evaluate)[:4] == ["bench", "evaluate", "--model", "net.safetensors"]
    assert "--arch resnet20 --mean=0.4914,0.4822,0.4465 --std=0.2" in evaluate


def test_a_hostile_name_cannot_leave_its_word_of_the_command(tmp_path):
    write(tmp_path)
    (entry,) = read(tmp_path)
    evil = "x; rm -rf ~ #$(id).safetensors"
    for line in context(elsewhere(entry, evil))["command"].splitlines():
        assert any(evil in word for word in shlex.split(line))
        assert shlex.quote(evil)[1:-1] in line


def test_weights_at_an_address_are_a_link_and_others_are_words(tmp_path):
    write(tmp_path)
    (entry,) = read(tmp_path)
    for shown, link in ((elsewhere(entry, "net.safetensors"), ADDRESS), (entry, "")):
        (table,) = [table for table in context(shown)["tables"] if table["title"] == "Provenance"]
        (cell,) = [row[1] for row in table["rows"] if row[0] == "weights"]
        assert (cell.text, cell.link) == (shown.submission.weights.locator, link)


def test_weights_in_the_folder_of_an_entry_are_handed_out_by_its_page(tmp_path):
    folder = carry(write(tmp_path))
    files = build(tmp_path)
    (entry,) = read(tmp_path)
    place = entry.address.removesuffix("index.html")
    assert files[f"{place}weights.safetensors"] == (folder / "weights.safetensors").read_bytes()
    page = files[entry.address].decode()
    assert f'href="../../../{place}weights.safetensors">weights.safetensors</a>' in page
    assert 'href="weights.safetensors" download' in page
    assert inspect.problems(files) == []
    copy, check, evaluate = context(entry)["command"].splitlines()
    assert copy == "cp -- submissions/digits-v1/small-dense/weights.safetensors mine.safetensors"
    assert shlex.split(check)[1] == f"{entry.submission.weights.sha256}  mine.safetensors"
    assert shlex.split(evaluate)[:4] == ["bench", "evaluate", "--model", "mine.safetensors"]


def test_a_pruned_entry_links_its_parent_and_is_compared_with_it_in_pairs(root, printed):
    catalogue = read(root)
    child, parent = next(iter(catalogue.parents.items()))
    page = printed[child.address].decode()
    assert f'href="../../../{parent.address}"' in page
    assert "Against the dense parent" in page
    assert "exact McNemar test" in page


def test_everything_that_is_needed_to_believe_an_entry_is_on_its_page(root, printed):
    for entry in read(root):
        page = printed[entry.address].decode()
        result = entry.result
        known = [entry.level.value, result.protocol.digest, result.model.weights_sha256, result.pruning.regime]
        known += [*result.environment, str(result.seed), "@misc{", "badge.svg", "bench evaluate", "Submitted."]
        assert [word for word in known if word not in page] == []
        if entry.verification:
            assert f"By {entry.verification.by}" in page
            assert 'href="verification.json"' in page


def test_every_version_of_an_entry_is_in_the_history_of_each(tmp_path):
    for number, older in (("one", None), ("two", "one"), ("three", "two")):
        write(tmp_path, id=number, supersedes=older, day=date(2026, 3, 1 + len(number)))
    catalogue = read(tmp_path)
    (middle,) = [entry for entry in catalogue if entry.id == "two"]
    assert [entry.id for entry in catalogue.versions(middle)] == ["one", "two", "three"]
    for entry in catalogue:
        page = pages.entry(catalogue, entry)
        told = [(line["says"], line["name"]) for line in page.context["history"] if line["name"]]
        assert {name for _, name in told} == {"one", "two", "three"} - {entry.id}
        assert all(says.startswith("Supers") for says, _ in told)


def close(one, other):
    return one.submission.method == other.submission.method or one.band == other.band


def test_of_a_large_family_a_page_lists_the_best_of_each_band_and_those_of_its_own_method(tmp_path):
    write(tmp_path)
    for number in range(BEST + 3):
        way = Cell(id=f"half-{number}", recipe="magnitude-global", sparsity=Fraction(1, 2), method=f"way {number}")
        write(tmp_path, replace(way, strength=0.5 + number / 20, lottery=number + 1))
    write(tmp_path, id="tenth", recipe="magnitude-global", sparsity=Fraction(9, 10), lottery=50)
    catalogue = read(tmp_path)
    found = {one.id: one for one in catalogue}
    children = catalogue.children(found["small-dense"])
    best = {one.id for one in sorted(children[:-1], key=lambda one: -next(iter(one.counts.values())))[:BEST]}
    listed = {name: {one.id for one in relatives(catalogue, one)} for name, one in found.items()}
    assert listed["small-dense"] == {"small-dense", "tenth"} | best
    worst = ({one.id for one in children} - best - {"tenth"}).pop()
    assert listed[worst] == {"small-dense", worst} | best
    assert listed["tenth"] == {"small-dense", "tenth"}
    (says,) = [table["says"] for table in tables(catalogue, found["small-dense"]) if table["anchor"] == "family"]
    assert says == "Of each band of sparsity the five that survive most, sparser downwards; the boards have all."


def test_a_network_and_what_was_pruned_from_it_are_told_together(root, printed):
    catalogue = read(root)
    parent = next(iter(catalogue.parents.values()))
    family = [parent, *catalogue.children(parent)]
    assert len(family) > 2
    assert max(Counter(one.band for one in family).values()) <= BEST
    for entry in family:
        near = [one for one in family if one is parent or entry is parent or close(one, entry)]
        page = printed[entry.address].decode()
        (table,) = re.findall(r'<section id="family">.*?</section>', page, re.DOTALL)
        assert {one.address for one in family if f'href="../../../{one.address}"' in table} == {
            one.address for one in near
        }
        assert ("the boards have all" in table) == (near != family)
        assert table.count("this entry") == 1
        for member in near:
            assert f">{100 * member.survivors(Norm.L2) / 500:.1f}<" in table


def test_every_part_of_the_page_can_be_reached_from_its_top(root, printed):
    for entry in read(root):
        page = printed[entry.address].decode()
        (line,) = re.findall(r'<nav class="toc".*?</nav>', page)
        anchors = re.findall(r'href="#([a-z]+)"', line)
        assert {"figures", "provenance", "environment", "reproduce", "history"} <= set(anchors)
        assert all(f'id="{anchor}"' in page for anchor in anchors)

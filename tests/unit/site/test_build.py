"""The site is a pure function of the submissions, and hostile words stay words."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from bench.cli.main import run
from bench.errors import SubmissionError
from bench.protocol.load import load
from bench.site.build import build
from bench.site.inspect import ASSET_BUDGET, assets, problems
from bench.submission.verifiers import VARIABLE
from tests.support.builders import write
from tests.support.sites import HOSTILE, submissions


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def files(root):
    return build(root)


def test_the_site_has_no_problem(files):
    assert problems(files) == []


def test_another_process_writes_the_same_bytes(root, files, tmp_path):
    there = tmp_path / "copied"
    shutil.copytree(root, there)
    code = (
        "import sys, hashlib; from pathlib import Path; from bench.site.build import build\n"
        "files = build(Path(sys.argv[1])); digest = hashlib.sha256()\n"
        "for path in sorted(files): digest.update(path.encode() + b'\\0' + files[path])\n"
        "print(digest.hexdigest()); assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(there)]
    env = {"PYTHONHASHSEED": "5", VARIABLE: os.environ[VARIABLE]}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + files[path])
    assert done.stdout.strip() == digest.hexdigest()


def test_numbers_on_a_board_equal_those_in_the_files(root, files):
    page, differs = files["boards/digits-v1-linf.html"].decode(), []
    for folder in sorted((root / "digits-v1").iterdir()):
        result = json.loads((folder / "result.json").read_text("utf-8"))
        points = np.load(folder / "points.npz")
        survive = (points["prediction"] == points["label"]) & (points["distance_Linf"] > 0.1 * (1 + 1e-5))
        alone = points["prediction"] == points["label"]
        for name in points.files:
            if name.startswith("broken_Linf_"):
                alone &= ~points[name]
        (row,) = re.findall(rf'<tr id="{folder.name}".*?</tr>', page, re.DOTALL)
        cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)]
        assert cells[2].split()[0] == f"{100 * survive.sum() / 500:.1f}"
        differs.append(survive.sum() < alone.sum())
        assert ("(" in cells[2]) == differs[-1]
        assert not differs[-1] or cells[2].split()[-1] == f"({100 * alone.sum() / 500:.1f})"
        assert f"{100 * result['clean']['correct'] / 500:.1f}" in cells
        assert f"{100 * result['pruning']['zeros'] / result['pruning']['prunable']:.1f}" in cells
    assert sum(differs) > 4, "hardly any entry shows both counts"


def test_hostile_words_are_printed_as_words(files):
    for path, content in files.items():
        if path.endswith(".html"):
            text = content.decode()
            assert HOSTILE not in text
            assert "<img src=x" not in text
    page = files["entries/digits-v1/hostile/index.html"].decode()
    assert "&lt;/script&gt;&lt;img src=x" in page
    rows = re.findall(r'<script type="application/json" class="rows" data-kind="[^"]+">(.*?)</script>', page)
    assert len(rows) == 7
    assert all(json.loads(sets) for sets in rows)
    (data,) = [content for path, content in files.items() if re.match(r"assets/data\.", path)]
    assert b"</script" not in data


def test_drawings_in_pages_are_xml_that_takes_its_colours_from_the_page(files):
    pages = [content.decode() for path, content in files.items() if path.endswith(".html")]
    drawn = [svg for page in pages for svg in re.findall(r'<div class="plot"[^>]*>(<svg.*?</svg>)', page)]
    assert len(drawn) > 40
    for svg in drawn:
        assert "var(--" in svg
        assert ET.fromstring(
            svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', "xmlns=" not in svg[:200])
        )


def test_no_published_entry_takes_more_than_sixty_kilobytes_of_site(root):
    for entry in (root / "leaderboard" / "entries").glob("*/*/"):
        weight = sum(path.stat().st_size for path in entry.iterdir() if path.suffix != ".safetensors")
        assert weight <= 60_000, entry.name


def test_no_entry_takes_more_than_sixty_kilobytes_of_site(files):
    for entry in {path.rpartition("/")[0] for path in files if path.startswith("entries/")}:
        assert sum(len(content) for path, content in files.items() if path.startswith(f"{entry}/")) <= 60_000


def test_a_spreadsheet_evaluates_nothing(files):
    rows = list(csv.DictReader(io.StringIO(files["data/digits-v1.csv"].decode())))
    assert len(rows) == 8
    (hostile,) = [row for row in rows if row["id"] == "hostile"]
    assert hostile["method"].startswith("'=cmd")
    assert hostile["unranked"].startswith("dense reference")


def test_checksums_and_schemas_fit_the_downloads(files):
    for line in files["data/SHA256SUMS"].decode().splitlines():
        digest, path = line.split("  ")
        assert hashlib.sha256(files[f"data/{path}"]).hexdigest() == digest
    assert json.loads(files["data/schemas/result.json"])["additionalProperties"] is False
    assert tomllib.loads(files["data/protocols/digits-v1.toml"].decode())["name"] == "digits-v1"
    assert len(json.loads(files["data/entries.json"])["entries"]) == 8


def test_the_feed_is_atom_with_lasting_ids(files):
    feed = ET.fromstring(files["atom.xml"])
    ids = [element.text for element in feed.iter("{http://www.w3.org/2005/Atom}id")]
    assert len(ids) == len(set(ids)) > 10


def test_changes_are_grouped_by_day_newest_first(files):
    page = files["changes.html"].decode()
    days = re.findall(r'<h2><time datetime="([0-9-]+)">', page)
    assert days == sorted(set(days), reverse=True)
    assert len(re.findall(r"<li>(?:New|Now) ", page)) == 8 + 6
    assert "Now re-run, by A. Maintainer:" in page


def test_the_rules_name_every_check_with_its_thresholds(files):
    page = files["protocols.html"].decode()
    for name, bars in load("digits-v1").checks.items():
        (row,) = re.findall(rf'<th scope="row">{name.replace("-", " ")}</th><td>(.*?)</td>', page)
        assert all(f"{key.replace('_', ' ')} {value:g}" in row for key, value in bars.items())


def test_unranked_entries_say_why(files):
    page = files["boards/digits-v1-l2.html"].decode()
    assert re.search(r'<td data-order="\d">[a-z-]+</td>.*<td>collapsed</td>', page)
    assert "zero gradients (warn)" in page
    assert "collapsed: too little accuracy is left to speak of robustness" in files["data/digits-v1.csv"].decode()
    assert 'class="u"' in page


def test_an_invalid_submission_stops_the_build(tmp_path):
    folder = write(tmp_path)
    (folder / "stray.txt").write_text("x", "utf-8")
    with pytest.raises(SubmissionError, match=r"'stray\.txt' does not belong"):
        build(tmp_path)


def test_a_submission_under_the_wrong_protocol_stops_the_build(tmp_path):
    folder = write(tmp_path)
    folder.parent.rename(tmp_path / "cifar10-v1")
    with pytest.raises(SubmissionError, match=r"measured under 'digits-v1'"):
        build(tmp_path)


def test_no_submissions_make_a_site_too(tmp_path):
    files = build(tmp_path)
    assert problems(files) == []
    assert b"No submissions have been published yet" in files["index.html"]


def test_a_superseded_entry_stays_but_loses_its_rank(tmp_path):
    half = {"recipe": "magnitude-global", "sparsity": Fraction(1, 2)}
    write(tmp_path, id="old", **half)
    write(tmp_path, id="new", supersedes="old", **half)
    files = build(tmp_path)
    old = json.loads(files["data/entries.json"])["entries"][1]
    assert (old["id"], old["unranked"], old["rank"]["Linf"]) == ("old", "superseded by new", None)
    assert json.loads(files["data/entries.json"])["entries"][0]["rank"]["Linf"] == {"rank": 1, "best": 1, "worst": 1}
    assert b"superseded by new" in files["entries/digits-v1/old/index.html"]


def test_shared_assets_are_light(files):
    assert assets(files) <= ASSET_BUDGET


def test_the_command_builds_checks_and_notices_a_difference(tmp_path, capsys):
    root, out = tmp_path / "submissions", tmp_path / "site"
    write(root)
    build_command = ["site", "build", "--submissions", str(root), "--out", str(out)]
    assert run(build_command) == 0
    assert run([*build_command, "--check"]) == 0
    assert run(["site", "check", str(out)]) == 0
    (out / "index.html").write_text("<a href='gone.html'>x</a>", "utf-8")
    (out / "stray.html").write_text("stray", "utf-8")
    assert run([*build_command, "--check"]) == 5
    assert "index.html, stray.html" in capsys.readouterr().err
    assert run(["site", "check", str(out)]) == 3
    assert "'gone.html' leads nowhere" in capsys.readouterr().out
    assert run(build_command) == 0
    assert "stray.html was not written by any build and is left alone" in capsys.readouterr().err
    (out / "stray.html").unlink()
    keep = tmp_path / "kept"
    for _ in range(2):
        assert run([*build_command, "--keep", str(keep)]) == 0
        assert [path.name for path in keep.iterdir()] == ["site.sqlite"]
    assert run([*build_command, "--check"]) == 0


def test_a_folder_that_is_no_site_is_left_alone(tmp_path):
    root = tmp_path / "submissions"
    root.mkdir()
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    assert run(["site", "build", "--submissions", str(root), "--out", str(tmp_path)]) == 3
    assert Path(tmp_path / "thesis.tex").read_text("utf-8") == "years of work"

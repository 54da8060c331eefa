"""The documentation covers what there is, leads somewhere, is found, and is the same bytes on every machine."""

import fnmatch
import hashlib
import html
import json
import os
import re
import subprocess
import sys
import tomllib

import click
import numpy as np
import pytest

from bench.cli.main import cli
from bench.protocol.load import Data, Protocol, Threat
from bench.site import documents
from bench.site.build import build
from bench.site.inspect import problems
from bench.submission.schema import PruningRecord, Result, ThreatRecord
from bench.submission.verification import Verification
from tests.support.builders import write
from tests.support.sites import submissions


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def files(root):
    return build(root, commands=cli)


def shown(page):
    """Return the words of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.decode()))


def leaves(command, context):
    """Yield every command that can be called, with its path."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            yield from leaves(below, click.Context(below, info_name=name, parent=context))
    else:
        yield context.command_path, command


def test_the_site_with_its_documents_has_no_problem(files):
    assert problems(files) == []
    assert sum(path.startswith("docs/") and path.endswith(".html") for path in files) >= 15


def test_every_page_leads_to_the_documents_and_to_submitting(files):
    for path, page in files.items():
        if path.endswith(".html"):
            up = "../" * path.count("/")
            assert f'<a href="{up}docs/index.html"'.encode() in page
            assert f'<a href="{up}docs/submit.html"'.encode() in page
    assert b'docs/submit.html" aria-current="page"' in files["docs/submit.html"]


def test_the_index_lists_every_document_with_its_headings(files):
    page = files[documents.INDEX].decode()
    found = documents.documents(cli)
    assert {document.shelf for document in found} == {"Tutorial", "How-to", "Reference", "Explanation"}
    for document in found:
        assert f'href="{document.name}.html">' in page
        for heading in document.printed.headings:
            assert (f'href="{document.name}.html#{heading.anchor}"' in page) == (heading.level == 2)


def test_every_document_that_ships_has_its_place():
    folder = documents.resources.files("bench.site") / "docs"
    written = {path.name.removesuffix(".md") for path in folder.iterdir() if path.name.endswith(".md")}
    listed = {name for _, _, names in documents.SHELVES for name in names}
    assert listed - written == {"commands", "protocol", "files", "python"}
    assert written <= listed


def test_whatever_lies_beside_the_documents_goes_into_the_wheel(request):
    settings = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    names = [path.name for path in (documents.resources.files("bench.site") / "docs").iterdir()]
    assert len(names) > 10
    assert not [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def test_every_command_stands_in_the_reference_with_every_option(files):
    page = " ".join(shown(files["docs/commands.html"]).split())
    found = list(leaves(cli, click.Context(cli, info_name="bench")))
    assert len(found) > 30
    for path, command in found:
        section = page.partition(f"Usage: {path} ")[2].partition("Usage: ")[0]
        for each in command.params:
            if isinstance(each, click.Option):
                assert all(name in section for name in (*each.opts, *each.secondary_opts)), path
                assert " ".join((each.help or "").split()).replace("`", "") in section, path
            else:
                name = (
                    each.type.choices[0] if isinstance(each.type, click.Choice) else each.metavar or each.name.upper()
                )
                assert name in section, path


def test_a_variable_of_the_reference_sets_its_option(files, tmp_path, monkeypatch):
    page = shown(files["docs/commands.html"])
    assert "BENCH_SITE_BUILD_OUT" in page
    monkeypatch.setenv("BENCH_SITE_BUILD_OUT", str(tmp_path / "there"))
    monkeypatch.setenv("BENCH_SITE_BUILD_SUBMISSIONS", str(tmp_path / "none"))
    (tmp_path / "none").mkdir()
    assert cli.main(["site", "build"], prog_name="bench", standalone_mode=False) is None
    assert (tmp_path / "there" / "index.html").exists()


@pytest.mark.parametrize(
    ("page", "record"),
    [
        ("files", Result),
        ("files", PruningRecord),
        ("files", ThreatRecord),
        ("files", Verification),
        ("protocol", Protocol),
        ("protocol", Data),
        ("protocol", Threat),
    ],
)
def test_every_field_stands_in_the_reference_with_what_it_means(files, page, record):
    text = " ".join(shown(files[f"docs/{page}.html"]).split())
    for name, field in record.model_fields.items():
        if not field.exclude:
            assert f"{field.alias or name}" in text
            assert " ".join((field.description or "").replace("`", "").split()) in text
    assert sum(field.description is not None for field in record.model_fields.values()) >= 1


def test_the_reference_names_every_array_of_an_entry(files, tmp_path):
    page = shown(files["docs/files.html"])
    folder = write(tmp_path)
    for file in ("points.npz", "witnesses.npz"):
        part = page.partition(f"\n{file}\n")[2]
        for name in np.load(folder / file).files:
            kind, _, rest = name.partition("_")
            pattern = kind + "_NORM" * bool(rest) + "_ATTACK" * (kind == "broken")
            assert pattern in part.split(), name


def test_without_a_command_line_nothing_leads_to_its_page(tmp_path):
    found = build(tmp_path)
    assert "docs/commands.html" not in found
    assert problems(found) == []


def test_a_terminal_a_home_and_colours_leave_no_trace(files):
    code = (
        "import sys, hashlib; from pathlib import Path; from bench.cli.main import cli\n"
        "from bench.site.documents import documents, script\n"
        "print(hashlib.sha256(script(documents(cli))).hexdigest()); assert 'torch' not in sys.modules"
    )
    words = [files[path] for path in files if re.match(r"assets/documents\.", path)]
    for setting in (
        {"COLUMNS": "40", "HOME": "/nowhere", "FORCE_COLOR": "1", "BENCH_SITE_BUILD_OUT": "x"},
        {"LANG": "C"},
    ):
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **setting}
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
        assert [done.stdout.strip()] == [hashlib.sha256(content).hexdigest() for content in words]


def test_what_is_searched_is_a_script_that_ends_no_element_and_leads_to_anchors(files):
    (content,) = [body for path, body in files.items() if re.match(r"assets/documents\.", path)]
    text = content.decode()
    assert "<" not in text
    sections = json.loads(text.removeprefix("window.BENCH_DOCUMENTS=").removesuffix(";\n"))
    assert len(sections) > 100
    assert len({(page, anchor) for _, page, _, anchor, _ in sections}) == len(sections)
    for _, page, heading, anchor, _ in sections:
        target = files[f"docs/{page}"].decode()
        assert not anchor or f'id="{anchor}"' in target
        assert heading in shown(files[f"docs/{page}"])
    assert any("Zeros save memory" in words for *_, words in sections)

"""The Python reference holds every public name with its arguments, as the code has them, and is found."""

import html
import inspect
import re

import pytest

import bench
from bench.site import documents


@pytest.fixture(scope="module")
def document():
    return next(each for each in documents.documents(None) if each.name == "python")


def chapter(document, name):
    """Return the words below the heading of a name."""
    part = document.printed.body.partition(f'<h2 id="bench{name.lower()}">')[2].partition("<h2")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split())


@pytest.mark.parametrize("name", bench.__all__)
def test_every_public_name_stands_there_with_what_it_does(document, name):
    words, public = chapter(document, name), getattr(bench, name)
    first = inspect.getdoc(public).split("\n\n")[0]
    assert " ".join(first.replace("`", "").split()) in words
    assert f'href="#bench{name.lower()}"' in document.printed.body


@pytest.mark.parametrize("name", [name for name in bench.__all__ if inspect.isfunction(getattr(bench, name))])
def test_every_argument_stands_there_with_its_default(document, name):
    words = chapter(document, name)
    found = inspect.signature(getattr(bench, name)).parameters.values()
    assert found
    for each in found:
        line = re.search(rf"[( ]{each.name}: ([^=]*?)(= \S+)? ?,", words) or re.search(rf" {each.name}: ", words)
        assert line, each.name
        if isinstance(each.default, str | int | float):
            assert f"= {each.default!r}," in words, each.name


@pytest.mark.parametrize("name", [name for name in bench.__all__ if inspect.isclass(getattr(bench, name))])
def test_what_a_class_lets_one_call_stands_there(document, name):
    words = chapter(document, name)
    for member, value in vars(getattr(bench, name)).items():
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | classmethod)):
            assert re.search(rf"\b{member}\b", words), member


def test_the_names_and_the_word_python_are_found(document):
    assert "Python" in document.printed.title
    words = {section.heading: section.words for section in document.printed.sections}
    assert all(f"bench.{name}" in words for name in bench.__all__)
    assert "submissions" in words["bench.load_board"]


def test_the_example_runs_as_it_stands(document, tmp_path, monkeypatch):
    example = html.unescape(re.search(r"<pre><code>(.*?)</code>", document.printed.body, re.DOTALL)[1])
    assert len(example.splitlines()) > 6
    monkeypatch.chdir(tmp_path)
    few = example.replace("points=100", "points=4, parent_run=False, progress=False")
    code = few.replace("load_board()", "load_board").replace("print(", "shown = (")
    names = {}
    exec(compile(code, "example", "exec"), names)
    assert names["shown"]
    assert callable(names["board"])

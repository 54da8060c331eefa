"""The documentation as readers meet it: searched by keyboard from files, and read without scripts."""

import json

import pytest

from tests.support.sites import HOSTILE

pytestmark = pytest.mark.browser

INDEX = "docs/index.html"


def searched(page, words):
    page.get_by_label("Search the documentation").fill(words)
    return page.locator("#found li")


def test_a_search_from_files_leads_to_the_section_it_names(site, tab):
    page = tab()
    page.goto(site.local(INDEX))
    found = searched(page, "L0 pixels")
    first = found.first.get_by_role("link")
    assert first.inner_text() == "Why L0 counts pixels"
    assert "Why it is so" in found.first.inner_text()
    assert page.locator("#count").inner_text() == f"{found.count()} places:"
    page.keyboard.press("Enter")
    page.wait_for_url(site.local("docs/why.html#why-l0-counts-pixels"))
    heading = page.locator("#why-l0-counts-pixels")
    assert heading.inner_text() == "Why L0 counts pixels"
    assert heading.evaluate("node => node.getBoundingClientRect().top < innerHeight")


def test_every_word_has_to_be_there_and_accents_do_not(site, tab):
    page = tab()
    page.goto(site.local("docs/recipes.html"))
    some = searched(page, "erdos").count()
    assert some >= 1
    assert searched(page, "erdos pixels").count() < some
    assert searched(page, "nowhere-to-be-found").count() == 0
    assert page.locator("#count").inner_text() == "No places with all of these words."
    assert searched(page, "").count() == 0
    assert page.locator("#count").is_hidden()


def test_what_is_typed_or_found_never_becomes_markup(site, tab):
    page = tab()
    words = "words <script>alert(1)</script> of a document"
    hostile = json.dumps([[HOSTILE, "why.html", f"<b>{HOSTILE}</b>", "", words]])
    page.add_init_script(f"Object.defineProperty(window, 'BENCH_DOCUMENTS', {{ get: () => {hostile}, set() {{}} }})")
    page.goto(site.local(INDEX))
    found = searched(page, "<script>alert words")
    assert found.count() == 1
    assert found.locator("img, b, script").count() == 0
    assert f"<b>{HOSTILE}</b> {HOSTILE}" in found.inner_text()
    assert words in found.inner_text()


def test_what_was_searched_is_there_again_on_the_way_back(site, tab):
    page = tab()
    page.goto(site.local(INDEX))
    searched(page, "sweep status").first.get_by_role("link").click()
    page.wait_for_url("**/docs/*.html#*")
    page.go_back()
    page.wait_for_selector("#found li")
    assert page.get_by_label("Search the documentation").input_value() == "sweep status"


def test_without_scripts_the_index_lists_every_heading(site, tab):
    page = tab(java_script_enabled=False)
    page.goto(site.local(INDEX))
    assert page.locator("#search").is_hidden()
    assert page.locator("main .toc a").count() > 60
    page.get_by_role("link", name="bench site", exact=True).click()
    assert page.locator("#bench-site").is_visible()
    page.get_by_label("Reference").get_by_role("link", name="Reliability checks").click()
    assert page.locator("h1").inner_text() == "Reliability checks"


def test_code_is_copied_with_its_empty_lines(site, tab):
    page = tab()
    page.goto(site.local("docs/extend.html"))
    code = page.locator("pre").nth(1).inner_text()
    assert "from torch import nn\n\nfrom bench.models.architecture import register\n\n\ndef build(classes):" in code
    assert page.get_by_role("button", name="Copy").count() == page.locator("pre").count()

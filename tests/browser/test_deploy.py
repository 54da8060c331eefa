"""The page of budgets: scripts answer what Python answers, by form and by address."""

from itertools import product
from urllib.parse import urlencode

import pytest

from bench.site import deploy
from bench.site.choice import Question, all_norms, candidates, choose, sizes, standing
from bench.site.entries import read
from bench.site.figures import duration, interval, metric, percent, signed
from bench.site.obtain import obtain
from bench.submission.paired import Paired
from bench.submission.rules import SIGNIFICANCE
from bench.submission.score import wilson
from bench.threats import Norm
from tests.support.deploying import DEAD, choices
from tests.support.sites import HOSTILE, print_page

pytestmark = pytest.mark.browser

ASK = """hash => new Promise(done => {
    const told = () => ({
        answer: document.getElementById("answer").textContent,
        shown: !document.getElementById("result").hidden,
        take: document.querySelector("#header a")?.getAttribute("href"),
        rivals: [...document.querySelectorAll("#rivals a")].map(link => link.getAttribute("href")),
        numbers: [...document.querySelectorAll("#rivals tr")].map(row => row.cells[4].textContent),
        costs: [...document.querySelectorAll("#costs tr")].map(row => [...row.cells].map(cell => cell.textContent)),
        commands: document.getElementById("commands").textContent,
        python: document.getElementById("python").textContent,
    });
    addEventListener("hashchange", () => done(told()), { once: true });
    location.hash = hash;
})"""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return read(choices(tmp_path_factory.mktemp("submissions")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, catalogue):
    return print_page(tmp_path_factory.mktemp("site"), catalogue, deploy.page(catalogue)).parent


@pytest.fixture
def page(tab, folder):
    opened = tab()
    opened.goto((folder / "deploy.html").as_uri())
    opened.wait_for_selector("#controls:not([hidden])")
    return opened


def questions(catalogue):
    """Yield questions with the address that asks them: every kind of budget, at, above and below real sizes."""
    for protocol in catalogue.protocols:
        entries = candidates(catalogue, protocol)
        brought = sorted({norm for entry in entries for norm in entry.robust}, key=list(Norm).index)
        threats = [((norm,), norm.value) for norm in brought] + [(all_norms(protocol, entries), "all")]
        kinds = sorted({kind for entry in entries for kind in sizes(entry)})
        asks = [(threats[0], kind) for kind in kinds] + [*product(threats[1:], ("weights", "work"))]
        for ((norms, threat), kind), everyone in product(asks, (False, True)):
            there = sorted({sizes(entry)[kind] for entry in entries if kind in sizes(entry)})
            middle = there[len(there) // 2]
            for most, clean in ((None, None), (0, None), (there[0], None), (middle, 90), (0.999 * middle, None),
                                (None, 95.8), (None, 100)):  # fmt: skip
                state = {"v": "1", "protocol": protocol.name, "threat": threat, "kind": kind, "unit": "0"}
                given = {"most": most, "clean": clean, "everyone": 1 if everyone else None}
                state |= {name: repr(value) for name, value in given.items() if value is not None}
                asked = Question(norms, kind, float("inf") if most is None else most, clean or 0, everyone)
                yield entries, asked, urlencode(state)


def test_scripts_answer_as_python_does(page, catalogue):
    asked, empty, tied, close = 0, 0, 0, 0
    for entries, question, address in questions(catalogue):
        told, answer = page.evaluate(ASK, address), choose(entries, question)
        asked += 1
        assert told["shown"] == (answer.take is not None), address
        if answer.take is None:
            empty += 1
            assert answer.nearest is None or answer.nearest.title in told["answer"], address
            continue
        total = answer.take.result.data.points
        robust = standing(answer.take, question.norms)
        assert told["take"] == answer.take.address, address
        assert told["rivals"] == [rival.entry.address for rival in answer.rivals][:12], address
        assert told["numbers"] == [signed(rival.pair.difference) for rival in answer.rivals][:12], address
        held, clean = int(robust.sum()), answer.take.result.clean.correct
        assert f"{percent(held / total)} % robust ({interval(wilson(held, total))})" in told["answer"]
        assert f"{percent(clean / total)} % clean" in told["answer"]
        assert (told["commands"], told["python"]) == obtain(answer.take)[1:]
        close += any(rival.pair.p_value < SIGNIFICANCE for rival in answer.rivals)
        tied += any(bool((standing(other.entry, question.norms) == robust).all()) for other in answer.rivals)
    assert asked > 300
    assert empty > 50
    assert tied > 2
    assert close > 5, "hardly any rival that one test alone would tell apart"


def test_what_it_costs_is_held_against_the_dense_parent_point_by_point(page, catalogue):
    state = {"v": "1", "protocol": "digits-v1", "threat": "Linf", "kind": "left"}
    costs = {row[0]: row[1:] for row in page.evaluate(ASK, urlencode(state | {"most": "1"}))["costs"]}
    least = next(entry for entry in catalogue if entry.id == "net-least")
    parent = catalogue.parents[least]
    for head, pair in (
        ("robust %", Paired.of(least.robust[Norm.LINF], parent.robust[Norm.LINF])),
        ("clean %", Paired.of(least.correct, parent.correct)),
    ):
        ends = pair.interval
        assert costs[head][2] == (
            f"{signed(pair.difference)} ({signed(ends.low)} to {signed(ends.high)}), {pair.verdict}"
        )
    pruning, dense = least.result.pruning, parent.result.pruning
    assert costs["non-zero weights"][:2] == [metric(pruning.nonzero), metric(dense.nonzero)]
    assert costs["packed size"][0] == f"{metric(pruning.bytes_packed)}B"
    (timed,) = [row for head, row in costs.items() if head.startswith("latency on ")]
    assert timed[0] == duration(least.result.cost.latency.network.forward[1])
    told = page.evaluate(ASK, urlencode(state | {"most": "10", "clean": "95"}))
    assert told["take"].split("/")[2] == "thin"
    assert {len(row) for row in told["costs"]} == {2}
    assert "what it costs is not known" in page.locator("#limits").text_content()


def test_the_form_asks_and_the_address_answers_again(page, tab):
    page.get_by_label("Data").select_option("digits-v1")
    page.get_by_label("Threat").select_option("all")
    page.get_by_label("Budget of").select_option("bytes")
    page.get_by_label("Unit").select_option("kB")
    page.get_by_label("At most").fill("12.5")
    page.get_by_label("Clean at least, %").fill("60")
    page.get_by_label("also what nobody has measured again").check()
    answer = page.locator("#answer").text_content()
    assert answer.startswith("Take ")
    assert "under all norms at once" in answer
    for part in ("threat=all", "kind=bytes", "most=12.5", "unit=3", "clean=60", "everyone=1"):
        assert part in page.url
    other = tab()
    other.goto(page.url)
    other.wait_for_selector("#controls:not([hidden])")
    assert other.locator("#answer").text_content() == answer
    assert other.get_by_label("At most").input_value() == "12.5"
    assert other.get_by_label("also what nobody has measured again").is_checked()


def test_a_number_can_be_typed_sign_by_sign(page):
    page.get_by_label("Data").select_option("digits-v1")
    page.get_by_label("Budget of").select_option("left")
    page.get_by_label("At most").press_sequentially("0.5e1")
    assert page.get_by_label("At most").input_value() == "0.5e1"
    assert "most=0.5e1" in page.url
    assert page.locator("#header a").first.get_attribute("href").split("/")[2] == "narrow"


@pytest.mark.parametrize(
    ("label", "value", "says"),
    [
        ("Clean at least, %", "101", "Clean at least takes a percentage from 0 to 100; what stands there is left out"),
        ("Clean at least, %", "-1", "Clean at least takes a percentage from 0 to 100"),
        ("At most", "-5", "At most takes a number from 0; what stands there is left out"),
    ],
)
def test_a_number_that_cannot_be_meant_is_said_and_left_out(page, label, value, says):
    usual, refused = page.locator("#answer").text_content(), page.locator("#refused")
    assert refused.is_hidden()
    page.get_by_label(label).fill(value)
    assert says in refused.text_content()
    assert refused.is_visible()
    assert page.get_by_label(label).get_attribute("aria-invalid") == "true"
    assert page.locator("#answer").text_content() == usual
    page.get_by_label(label).fill("1")
    assert refused.is_hidden()
    assert page.get_by_label(label).get_attribute("aria-invalid") == "false"


def test_a_number_of_an_address_that_cannot_be_meant_is_said(page):
    for address, count in (("v=1&clean=101&most=-5", 2), ("v=1&clean=101", 1), ("v=1&most=many", 1), ("v=1", 0)):
        page.evaluate(ASK, address)
        assert page.locator("#refused").text_content().count("is left out of the answer") == count, address


def test_self_reported_entries_are_marked_where_they_are_asked_for(page):
    state = {"v": "1", "protocol": "digits-v1", "threat": "Linf", "kind": "left", "most": "25"}
    assert "self-reported" not in page.evaluate(ASK, urlencode(state))["answer"]
    told = page.evaluate(ASK, urlencode(state | {"everyone": "1"}))
    assert told["take"].split("/")[2] == "own"
    assert "(self-reported)" in told["answer"]
    assert page.locator("#header .ci").first.text_content() == "self-reported"


def test_a_dense_network_may_be_the_answer_and_a_hostile_name_stays_a_name(page):
    told = page.evaluate(ASK, urlencode({"v": "1", "protocol": "digits-v1", "threat": "Linf"}))
    assert told["take"].split("/")[2] == "hostile"
    assert f"{HOSTILE}, dense parent (dense)" in told["answer"]
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert "Nothing was pruned." in page.locator("#limits").text_content()


def test_nonsense_in_an_address_asks_the_usual_question(page):
    usual = page.locator("#answer").text_content()
    state = {
        "v": "1",
        "protocol": "<b>",
        "threat": "L7",
        "kind": "__proto__",
        "most": "ten",
        "unit": "x",
        "clean": "-3",
    }
    assert page.evaluate(ASK, urlencode(state))["answer"] == usual
    assert page.get_by_label("At most").input_value() == ""


def test_without_scripts_the_printed_answers_stand_and_lead_to_commands(tab, folder):
    page = tab(java_script_enabled=False)
    page.goto((folder / "deploy.html").as_uri())
    assert page.locator("#controls").is_hidden()
    assert page.locator("#result").is_hidden()
    assert page.locator("table.deploy").count() == 8
    dead = {f"entries/digits-v1/{name}/index.html" for name in DEAD}
    links = page.locator("table.deploy a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert links
    assert not dead & set(links)
    for anchor in {link for link in links if link.startswith("#")}:
        details = page.locator(f"details[id='{anchor[1:]}']")
        details.locator("summary").click()
        assert details.locator("pre").last.is_visible()
        assert "bench.load(" in details.locator("pre").last.text_content()


def test_a_link_to_commands_opens_them_and_keeps_the_question(page):
    page.get_by_label("Data").select_option("digits-v1")
    page.get_by_label("Threat").select_option("L2")
    answer = page.locator("#answer").text_content()
    page.locator("table.deploy").first.get_by_role("link", name="load").first.click()
    anchor = page.evaluate("location.hash.slice(1)")
    assert page.locator(f"details[id='{anchor}']").get_attribute("open") is not None
    assert page.locator("#answer").text_content() == answer


def test_a_copied_command_is_the_one_that_is_shown(site, tab):
    page = tab(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{site.served}deploy.html#v=1&kind=left&most=50")
    page.wait_for_selector("#controls:not([hidden])")
    page.locator("#shell").get_by_role("button", name="Copy").click()
    page.locator("#shell").get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#commands").text_content()
    assert page.locator("#commands").text_content().startswith("bench prune --model ")


def test_the_first_page_leads_here(site, tab):
    page = tab()
    page.goto(site.local("index.html"))
    page.get_by_role("link", name="Which should I deploy?").click()
    assert page.locator("h1").text_content() == "Which should I deploy?"

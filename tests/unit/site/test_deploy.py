"""What to deploy: the choice within a budget, the way to the network, the printed page."""

import html
import math
import re
import shlex
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from markupsafe import Markup

from bench.cli.prune import command
from bench.protocol.load import load
from bench.site import deploy, exports
from bench.site.build import build
from bench.site.choice import Question, all_norms, candidates, choose, sizes
from bench.site.entries import read
from bench.site.figures import under
from bench.site.obtain import obtain
from bench.submission.schema import Normalisation, Weights
from bench.submission.score import rate
from bench.threats import Norm
from tests.support.builders import write
from tests.support.carrying import carry
from tests.support.deploying import DEAD, UNSEEN, choices
from tests.support.sites import HOSTILE, print_page

DIGITS = load("digits-v1")
LINF = (Norm.LINF,)
POINTS = 500
FILE = "a 'b' $(c).safetensors"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return choices(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def catalogue(root):
    return read(root)


@pytest.fixture(scope="module")
def page(catalogue, tmp_path_factory):
    return print_page(tmp_path_factory.mktemp("site"), catalogue, deploy.page(catalogue)).read_text("utf-8")


@pytest.fixture(scope="module")
def model(catalogue):
    """Return an entry that somebody else measured again, to make others of."""
    return next(entry for entry in catalogue if entry.id == "net-half")


@pytest.fixture
def made(model):
    """Make entries of which only what a choice looks at is said."""

    def entry(name, robust, clean=480, weights=100, *, signed=True, **others):
        pruning = model.result.pruning.model_copy(update={"nonzero": weights})
        result = model.result.model_copy(update={"pruning": pruning, "clean": type(model.result.clean)(correct=clean)})
        folder = replace(
            model.folder,
            submission=model.submission.model_copy(update={"id": name}),
            result=result,
            verification=model.verification if signed else None,
        )
        given = {Norm.LINF: robust} | others.pop("under", {})
        bits = {norm: np.arange(POINTS) < held if isinstance(held, int) else held for norm, held in given.items()}
        return replace(model, folder=folder, robust=bits, **others)

    return entry


def test_equals_are_there(catalogue):
    twins = [entry for entry in catalogue if entry.id in {"twin-a", "twin-b", "thin", "thick"}]
    for norm in Norm:
        assert len({entry.robust[norm].tobytes() for entry in twins}) == 1
    digits = [entry for entry in candidates(catalogue, DIGITS) if entry in twins]
    assert ids(choose(digits, Question(LINF))) == ["thin", "twin-a", "twin-b", "thick"]


def ids(answer):
    return [answer.take.id, *(rival.entry.id for rival in answer.rivals)]


def test_the_most_robust_entry_within_the_budget_is_taken(made):
    entries = [made("small", 100, weights=10), made("middle", 200, weights=20), made("large", 400, weights=30)]
    for most, taken in ((30, "large"), (29, "middle"), (20, "middle"), (19.9, "small"), (10, "small")):
        assert choose(entries, Question(LINF, most=most)).take.id == taken
    assert choose(entries, Question(LINF)).take.id == "large"
    assert choose(entries, Question(LINF)).fitting == 3


def test_of_equally_robust_entries_the_more_accurate_the_smaller_the_first_is_taken(made):
    entries = [made("d", 300, clean=450), made("c", 300, clean=460), made("b", 300, clean=460, weights=90)]
    assert ids(choose(entries, Question(LINF))) == ["b", "c", "d"]
    entries.append(made("a", 300, clean=460, weights=90))
    assert ids(choose(entries[::-1], Question(LINF))) == ["a", "b", "c", "d"]


def test_one_test_among_many_is_held_to_a_smaller_level(made):
    # six points to none: p = 2 / 2⁶ = 0.031, below 0.05 alone and above half of that
    best, six, ten = made("best", 400), made("six", 394), made("ten", 390)
    assert ids(choose([best, six], Question(LINF))) == ["best"]
    assert ids(choose([best, six, ten], Question(LINF))) == ["best", "six"]


def test_more_losses_than_gains_are_what_the_test_counts(made):
    shifted = (np.arange(POINTS) >= 3) & (np.arange(POINTS) < 397)
    # six points to none again, in another order, and a network that differs at two hundred points and loses no count
    other = np.arange(POINTS) >= 101
    answer = choose([made("best", 400), made("shifted", shifted), made("other", other)], Question(LINF))
    assert ids(answer) == ["best", "other", "shifted"]
    (first, second) = answer.rivals
    assert (first.pair.first, first.pair.second, first.pair.neither) == (100, 101, 0)
    assert (second.pair.first, second.pair.second) == (0, 6)


def test_all_norms_at_once_counts_points_that_survive_each(made):
    low, high = np.arange(POINTS) < 300, np.arange(POINTS) >= 250
    apart, together = made("apart", low, under={Norm.L2: high}), made("together", 100, under={Norm.L2: 100})
    one = made("one", 400)
    both = (Norm.LINF, Norm.L2)
    assert choose([apart, together, one], Question(LINF)).take.id == "one"
    assert choose([apart, together, one], Question(both)).take.id == "together"
    assert choose([apart, one], Question(both)).fitting == 1
    assert all_norms(apart.protocol, [apart, one]) == ()


def test_what_nobody_measured_again_is_taken_only_where_that_is_asked_for(made):
    entries = [made("own", 400, signed=False), made("signed", 200)]
    assert choose(entries, Question(LINF)).take.id == "signed"
    assert choose(entries, Question(LINF, everyone=True)).take.id == "own"
    assert choose(entries[:1], Question(LINF)) == (None, (), 0, None)


def test_where_nothing_fits_the_smallest_that_is_accurate_enough_is_named(made):
    entries = [made("tiny", 90, clean=300, weights=5), made("small", 90, clean=450, weights=10), made("big", 400)]
    assert choose(entries, Question(LINF, most=4)) == (None, (), 0, entries[0])
    assert choose(entries, Question(LINF, most=4, clean=90)).nearest.id == "small"
    assert choose(entries, Question(LINF, clean=96)).take.id == "big"
    assert choose(entries, Question(LINF, clean=96.1)).nearest.id == "big"


def test_a_network_that_survives_at_no_point_is_no_answer(made):
    entries = [made("broken", 0, weights=1), made("stands", 1, weights=2)]
    assert choose(entries, Question(LINF, most=1)).nearest.id == "stands"
    assert choose(entries[:1], Question(LINF)).take is None


def test_a_share_forgives_the_last_weight_of_a_target(model):
    def left(zeros, prunable):
        pruning = model.result.pruning.model_copy(update={"zeros": zeros, "prunable": prunable})
        folder = replace(model.folder, result=model.result.model_copy(update={"pruning": pruning}))
        return sizes(replace(model, folder=folder, sparsity=rate(zeros, prunable)))["left"]

    assert left(100627, 111808) == 10  # 90 % of 111,808 is 100,627.2
    assert left(1098, 1220) == 10
    assert left(1097, 1220) > 10
    assert left(0, 1220) == 100


def test_what_is_dead_can_never_be_taken(catalogue):
    there = {entry.id for entry in catalogue}
    assert there >= DEAD | UNSEEN
    able = {entry.id for entry in candidates(catalogue, DIGITS)}
    assert not DEAD & able
    assert {"own", "net-dense", "after", "hostile"} <= able


def test_two_machines_are_two_kinds_of_latency(catalogue):
    here, there = (
        {kind for kind in sizes(entry) if kind.startswith("latency")}
        for entry in catalogue
        if entry.id in {"net-half", "away"}
    )
    assert not here & there
    kind = "latency on Another <b>processor</b>, 2 threads, batches of 16"
    assert choose(candidates(catalogue, DIGITS), Question(LINF, kind)).take.id == "away"


def cells(text):
    return [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", text)]


def printed(page, under):
    """Return the rows of one printed table, each with the id of the entry that it links."""
    (table,) = re.findall(rf"<caption>{re.escape(under)}</caption>.*?</table>", page, re.DOTALL)
    rows = re.findall(r"<tr>.*?</tr>", table.split("<tbody>")[1])
    return [(cells(row), "".join(re.findall(r'href="entries/[^/]*/([^/]*)/', row))) for row in rows]


def test_the_printed_answers_are_those_of_the_files(page, catalogue):
    for rule in DIGITS.threats:
        rows = printed(page, under(DIGITS.title, rule.norm, rule.epsilon))
        assert len(rows) == 9
        for edge, (row, identity) in zip((0, Fraction(1, 2), Fraction(3, 4), Fraction(9, 10)), rows, strict=False):
            fit = {
                entry.id: entry.survivors(rule.norm)
                for entry in catalogue.by_protocol["digits-v1"]
                if entry.id not in DEAD | UNSEEN and entry.sparsity >= edge and rule.norm in entry.robust
            }
            best = max(fit.values())
            assert row[2].split()[0] == f"{100 * best / POINTS:.1f}"
            assert fit[identity] == best
            (taken,) = [entry for entry in catalogue if entry.id == identity]
            assert taken.title in row[1]
            assert ("dense" in row[1]) == taken.dense
            assert row[3] == f"{100 * taken.result.clean.correct / POINTS:.1f}"


def test_hostile_words_stay_words(page, catalogue):
    assert HOSTILE not in page
    assert str(Markup.escape(HOSTILE)) in page
    assert b"</script" not in exports.script(catalogue)


def test_an_empty_board_says_so(tmp_path):
    assert b"No submissions have been published yet." in build(tmp_path)["deploy.html"]


@pytest.fixture
def one(tmp_path):
    """Return an entry of a folder, changed as a test says."""

    def entry(model=None, pruning=None, locator=None, **cell):
        write(tmp_path, id="one", **cell)
        (found,) = read(tmp_path)
        result = found.result.model_copy(
            update={
                "model": found.result.model.model_copy(update=model or {}),
                "pruning": found.result.pruning.model_copy(update=pruning or {}),
            }
        )
        weights = Weights(locator=locator or found.submission.weights.locator, sha256="0a" * 32, bytes=1)
        people = found.submission.model_copy(update={"weights": weights})
        return replace(found, folder=replace(found.folder, result=result, submission=people))

    return entry


HALF = {"recipe": "magnitude-global", "sparsity": Fraction(1, 2), "parent": "digits-tiny-linf"}


def test_a_network_that_ships_needs_no_command(one):
    found = obtain(one(parent="digits-tiny-linf"))
    assert found.commands == ""
    assert "ships with this project" in found.says
    assert found.python == "import bench\n\nnetwork = bench.load('embedded:digits-tiny-linf')"


def test_a_network_that_others_keep_is_fetched_first(one):
    found = obtain(one({"ref": "published:cifar10-cnn-a-adv"}, **HALF))
    fetch, prune, check = found.commands.splitlines()
    assert fetch == "bench models fetch published:cifar10-cnn-a-adv"
    assert "bench models place published:cifar10-cnn-a-adv FILE" in found.says
    assert shlex.split(prune)[:4] == ["bench", "prune", "--model", "published:cifar10-cnn-a-adv"]
    assert check.startswith("grep ")
    assert check.endswith(" one/manifest.json")


@pytest.mark.parametrize(
    ("pruning", "wanted"),
    [
        ({}, {"sparsity": "1/2", "regime": "one-shot"}),
        ({"keep": ("conv1", "head.$(x)")}, {"keep": "conv1,head.$(x)"}),
        ({"recipe": "magnitude-2of4", "target": None}, {"recipe": "magnitude-2of4", "sparsity": None}),
        ({"regime": "ft-adv"}, {"regime": "ft-adv"}),
    ],
)
def test_the_command_that_prunes_is_read_as_what_was_measured(one, pruning, wanted):
    found = obtain(one(pruning=pruning, **HALF))
    prune = next(line for line in found.commands.splitlines() if line.startswith("bench prune"))
    program, name, *options = shlex.split(prune)
    assert (program, name) == ("bench", "prune")
    given = command.make_context(name, options).params
    told = {"model": "embedded:digits-tiny-linf", "recipe": "magnitude-global", "protocol_name": "digits-v1"} | wanted
    assert {key: given[key] for key in told} == told
    assert str(given["out"]) == "one"
    assert ("grep" in found.commands) == (given["regime"] == "one-shot")
    assert ("another processor learns other weights" in found.says) == (given["regime"] != "one-shot")


def test_weights_that_were_learned_are_named_where_they_are_kept(one):
    address = f"https://huggingface.co/org/net/resolve/{'0a' * 20}/net.safetensors"
    found = obtain(one(pruning={"regime": "ft"}, locator=address, **HALF))
    assert f"kept at {address}, sha256 {'0a' * 32}" in found.says
    assert "curl" not in found.commands


def test_a_file_elsewhere_is_brought_and_loaded_as_what_it_is(one):
    address = f"https://huggingface.co/org/net/resolve/{'0a' * 20}/net.safetensors"
    plain = Normalisation(mean=(0.25, -0.5, 1e-3), std=(0.5, 1.0, 2.0))
    theirs = {"recipe": None, "method": "LAMP", "sparsity": None, "target": None, "regime": None}
    model = {"ref": FILE, "normalisation": plain, "file_sha256": "0b" * 32, "architecture": "cifar-resnet20"}
    found = obtain(one(model, theirs, address, **HALF))
    brought, check = found.commands.splitlines()
    assert shlex.split(brought) == ["curl", "--fail", "--location", "--output", FILE, address]
    assert shlex.split(check)[:2] == ["echo", f"{'0b' * 32}  {FILE}"]
    asked = {}
    bench = type("bench", (), {"load": staticmethod(lambda ref, **given: asked.update(ref=ref, **given))})
    exec(found.python.removeprefix("import bench"), {"bench": bench})
    assert asked == {"ref": FILE, "arch": "cifar-resnet20", "mean": plain.mean, "std": plain.std}


def test_a_file_in_the_folder_of_its_entry_is_copied_from_there(tmp_path):
    carry(write(tmp_path, id="one", theirs="LAMP", **HALF))
    (entry,) = read(tmp_path)
    found = obtain(entry)
    assert found.commands.splitlines()[0] == "cp -- submissions/digits-v1/one/weights.safetensors mine.safetensors"
    assert "lies in the folder of its entry" in found.says


def test_a_budget_names_each_edge_of_the_board():
    shares = [budget.most for budget in deploy._BUDGETS if budget.kind == "left"]
    assert shares == [50, 25, 10, 5, 1]
    assert all(math.isfinite(budget.most) for budget in deploy._BUDGETS)

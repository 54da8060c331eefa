"""A rank comes from a listed verifier alone: whatever a submission says of its own level is refused."""

import base64
import json
from datetime import date, timedelta
from fractions import Fraction

import pytest

from bench.cli.main import run
from bench.errors import InputError, SubmissionError, UsageError
from bench.site import pages
from bench.site.entries import read
from bench.submission.check import problems
from bench.submission.files import canonical
from bench.submission.schema import VerificationLevel
from bench.submission.verifiers import VARIABLE, listed, make, public, sign
from bench.threats import Norm
from tests.support import signers
from tests.support.builders import write
from tests.support.signers import KEY, LOST, OLD, STRANGER, lay, record, verify

DAY = date(2026, 3, 3)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, level=None)


def told(root):
    catalogue = read(root)
    (entry,) = catalogue
    return str(pages.entry(catalogue, entry).context)


def unranked(root):
    catalogue = read(root)
    return {entry.id: catalogue.unranked(entry) for entry in catalogue}


@pytest.fixture
def pruned(tmp_path):
    return write(tmp_path, id="half", recipe="magnitude-global", sparsity=Fraction(1, 2), level=None)


def test_a_signed_verification_gives_a_rank(pruned, tmp_path):
    assert "nobody else has measured it" in unranked(tmp_path)["half"]
    verify(pruned, "re-run", DAY)
    assert problems(pruned) == []
    assert unranked(tmp_path) == {"half": None}


def test_what_is_only_checked_is_not_ranked(pruned, tmp_path):
    verify(pruned, "checked", DAY)
    assert problems(pruned) == []
    assert "recomputed in part" in unranked(tmp_path)["half"]


def invented(found):
    """Say that a rerun found everything robust."""
    threats = tuple(threat.model_copy(update={"best_known": found.points}) for threat in found.threats)
    return found.model_copy(update={"threats": threats})


def changed(**changes):
    return lambda found: found.model_copy(update=changes)


def threat(**changes):
    return lambda found: found.model_copy(
        update={"threats": (found.threats[0].model_copy(update=changes), *found.threats[1:])}
    )


FORGERIES = {
    "another entry's": (changed(entry="other"), "entry is 'other', expected 'small-dense'"),
    "of an older result": (changed(result_sha256="0" * 64), "result_sha256 is"),
    "of another network": (changed(weights_sha256="0" * 64), "weights_sha256 is"),
    "of fewer points": (changed(points=10, correct=5), "points is 10"),
    "more correct than points": (changed(correct=501), "501 of 500 points cannot be correct"),
    "of no level that is given": (changed(level=VerificationLevel.SELF_REPORTED), "level is self-reported"),
    "before the submission": (changed(date=date(2026, 2, 1)), "before the submission"),
    "by nobody": (changed(by="Nobody"), "'Nobody' is no listed verifier"),
    "by an author": (changed(by="a.  AUTHOR"), "is an author of the entry"),
    "before the verifier was listed": (changed(date=date(2025, 12, 31)), "is no listed verifier on 2025-12-31"),
    "of invented counts": (invented, "are claimed, but its fallen and stood points leave"),
    "of one threat of three": (lambda found: changed(threats=found.threats[:1])(found), "expected those of the result"),
    "of another radius": (threat(epsilon="1/2"), "expected those of the result"),
    "of points that are none": (threat(fallen=(10**6,)), "fallen names points"),
    "of points twice": (threat(stood=(1, 1)), "stood names points"),
    "of foreign verdicts": (threat(verdicts_sha256="0" * 64), "are claimed, but"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_verification_speaks_of_one_entry_and_adds_up(folder, tmp_path, what):
    forge, expected = FORGERIES[what]
    lay(folder, sign(forge(record(folder, "re-run", DAY)), KEY))
    assert any(f"verification.json: {expected}" in p or expected in p for p in problems(folder)), problems(folder)
    assert run(["submission", "check", str(folder)]) == 3
    with pytest.raises(SubmissionError):
        read(tmp_path)


def test_a_verification_of_another_protocol_is_none(folder):
    found = record(folder, "re-run", DAY)
    for change in ({"digest": "0" * 64}, {"name": "digits-v2"}, {"preset": "fast"}):
        other = found.model_copy(update={"protocol": found.protocol.model_copy(update=change)})
        lay(folder, sign(other, KEY))
        assert any("verification.json: protocol." in problem for problem in problems(folder))


SIGNATURES = {
    "none": (lambda found: found, "it is not signed"),
    "a stranger's": (lambda found: sign(found, STRANGER), "signature is not that of 'A. Maintainer'"),
    "another's who is listed": (lambda found: sign(found, OLD), "signature is not that of 'A. Maintainer'"),
    "of zeros": (
        lambda found: found.model_copy(update={"signature": base64.b64encode(bytes(64)).decode()}),
        "signature is not that of",
    ),
    "too short": (lambda found: found.model_copy(update={"signature": "AAAA"}), "signature is not that of"),
    "no base64": (lambda found: found.model_copy(update={"signature": "A=A"}), "signature is not base64"),
    "of other words": (
        lambda found: sign(found, KEY).model_copy(update={"says": "Perfect."}), "signature is not that of",
    ),
    "of a lower level": (
        lambda found: sign(changed(level=VerificationLevel.CHECKED)(found), KEY).model_copy(
            update={"level": VerificationLevel.RE_RUN}
        ),
        "signature is not that of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SIGNATURES)
def test_only_the_signature_of_who_is_named_counts(folder, what):
    make_it, expected = SIGNATURES[what]
    lay(folder, make_it(record(folder, "re-run", DAY)))
    assert any(f"verification.json: {expected}" in problem for problem in problems(folder)), problems(folder)


def test_a_signature_is_not_replayed_on_a_twin(tmp_path):
    """Two entries of the same figures differ in what is signed."""
    first = write(tmp_path / "a", id="first")
    second = write(tmp_path / "b", id="second", level=None)
    (second / "verification.json").write_bytes((first / "verification.json").read_bytes())
    assert any("entry is 'first', expected 'second'" in problem for problem in problems(second))


def test_what_a_key_signed_before_its_last_day_stays(folder):
    verify(folder, "re-run", date(2026, 3, 2), key=OLD, by=LOST)
    assert problems(folder) == []
    verify(folder, "re-run", date(2026, 3, 3), key=OLD, by=LOST)
    assert any("is no listed verifier on 2026-03-03" in problem for problem in problems(folder))


def test_a_list_brought_along_is_not_asked(folder, tmp_path, monkeypatch):
    """Who checks brings the list; a submission's tree has no say in it."""
    own = tmp_path / ".github" / "verifiers.toml"
    own.parent.mkdir()
    own.write_text(signers.LIST.read_text("utf-8").replace(public(KEY), public(STRANGER)), "utf-8")
    verify(folder, "re-run", DAY, key=STRANGER)
    monkeypatch.chdir(tmp_path)
    assert any("signature is not that of" in problem for problem in problems(folder))


def test_without_a_list_nobody_signs(folder, tmp_path, monkeypatch):
    verify(folder, "re-run", DAY)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.toml"))
    assert any("is no listed verifier" in problem for problem in problems(folder))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schema = 1", "schema"),
        ("[[verifiers]]", "verifiers.0.name"),
        ('[[verifiers]]\nname = "x"\nsince = 2026-01-01\nkey = "ssh-rsa AAAA"', "verifiers.0.key"),
        (f'[[verifiers]]\nname = "x"\nsince = 2026-01-01\nkey = "ssh-ed25519 {"A" * 68}"', "is no Ed25519 key"),
    ],
)
def test_a_broken_list_lifts_nothing(folder, tmp_path, monkeypatch, text, expected):
    verify(folder, "re-run", DAY)
    place = tmp_path / "broken.toml"
    place.write_text(text if "schema" in text else f'schema = "bench.verifiers/1"\n{text}\n', "utf-8")
    monkeypatch.setenv(VARIABLE, str(place))
    assert any(expected in problem for problem in problems(folder)), problems(folder)


def test_points_that_fell_again_no_longer_count(folder, tmp_path):
    before = read(tmp_path).boards[0].entries[0].survivors(Norm.LINF)
    found = record(folder, "re-run", DAY)
    points = read(tmp_path).boards[0].entries[0]
    rows = points.folder.points
    order = rows.id.argsort()
    stands = points.robust[Norm.LINF]
    from bench.submission.verification import verdicts

    gone = rows.id[order][stands][:3]
    after = stands.copy()
    after[stands.nonzero()[0][:3]] = False
    lowered = threat(
        best_known=int(after.sum()), verdicts_sha256=verdicts(after), fallen=tuple(int(point) for point in gone)
    )
    lay(folder, sign(lowered(found), KEY))
    assert problems(folder) == []
    catalogue = read(tmp_path)
    (entry,) = catalogue
    assert entry.survivors(Norm.LINF) == before - 3
    page = pages.entry(catalogue, entry)
    assert "Under Linf 3 points fell that stood before" in str(page.context)


def test_the_page_says_that_author_and_verifier_are_one_team(folder, tmp_path):
    verify(folder, "re-run", DAY)
    assert "one team" not in told(tmp_path)
    assert (
        "So far these are 1 of 1 result, none measured again by verifiers"
        in pages.home(read(tmp_path)).context["again"]
    )
    path = folder / "submission.toml"
    path.write_text(path.read_text("utf-8").replace('"A. Author"', '"The Team"'), "utf-8")
    assert "Author and verifier are one team." in told(tmp_path)
    assert (
        "So far these are 1 of 1 result, all measured again by verifiers" in pages.home(read(tmp_path)).context["again"]
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("name", "Small network (Re-Run)"), ("name", "Ｖｅｒｉｆｉｅｄ network"), ("method", "checked by maintainers"),
        ("method", "reproduced"), ("name", "self-reported champion"),
    ],
)  # fmt: skip
def test_no_name_carries_a_badge(folder, key, words):
    path = folder / "submission.toml"
    kept = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(f"{key} = ")]
    path.write_text("\n".join([f"{key} = {json.dumps(words, ensure_ascii=False)}", *kept]), "utf-8")
    assert any("says nothing of its own level" in problem for problem in problems(folder)), problems(folder)


@pytest.mark.parametrize("key", ["level", "rank", "verified", "verification", "verifier", "badge"])
def test_no_key_of_a_submission_speaks_of_its_level(folder, key):
    path = folder / "submission.toml"
    path.write_text(f'{key} = "re-run"\n' + path.read_text("utf-8"), "utf-8")
    assert any(f"{key}: Extra inputs are not permitted" in problem for problem in problems(folder))


@pytest.mark.parametrize("key", ["level", "Verification", "RANK", "status"])
def test_no_fact_of_the_environment_speaks_of_a_level(folder, key):
    path = folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    result["environment"][key] = "re-run"
    path.write_bytes(canonical(result))
    assert any("says nothing of its own level" in problem for problem in problems(folder))


def test_a_new_key_is_private_is_never_overwritten_and_never_in_a_checkout(tmp_path, capsys):
    key = tmp_path / "keys" / "mine.pem"
    assert run(["verifier", "new", str(key), "--name", "M. Aintainer", "--team", "The Team"]) == 0
    told = capsys.readouterr().out
    assert key.stat().st_mode & 0o777 == 0o600
    place = tmp_path / "verifiers.toml"
    place.write_text(f'schema = "bench.verifiers/1"\n{told}', "utf-8")
    (found,) = listed(place).verifiers
    assert (found.name, found.team, found.key) == ("M. Aintainer", "The Team", public(key))
    with pytest.raises(UsageError, match="exists already"):
        make(key)
    (tmp_path / ".git").mkdir()
    with pytest.raises(UsageError, match="lies in a checkout"):
        make(tmp_path / "deep" / "other.pem")


def test_a_key_that_others_can_read_does_not_sign(folder, tmp_path):
    key = tmp_path / "open.pem"
    make(key)
    key.chmod(0o644)
    with pytest.raises(InputError, match="can be read by others"):
        sign(record(folder, "re-run", DAY), key)


@pytest.mark.parametrize("content", ["", "-----BEGIN PRIVATE KEY-----", "ssh-ed25519 AAAA", "\x00\x01"])
def test_what_is_no_key_is_named(folder, tmp_path, content):
    key = tmp_path / "none.pem"
    key.write_text(content, "utf-8")
    key.chmod(0o600)
    with pytest.raises(InputError, match="holds no private Ed25519 key"):
        sign(record(folder, "re-run", DAY), key)


def test_verifiers_are_listed(capsys):
    assert run(["verifier", "list"]) == 0
    told = capsys.readouterr()
    assert f"{LOST}, since 2025-01-01 until 2026-03-02: ssh-ed25519 " in told.out
    assert run(["verifier", "list", "--json"]) == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)["verifiers"]]
    assert names[:2] == [signers.NAME, LOST]


def test_a_key_cannot_be_listed_twice(tmp_path):
    place = tmp_path / "verifiers.toml"
    text = signers.LIST.read_text("utf-8")
    place.write_text(text + text.partition("\n")[2].replace(signers.NAME, "Somebody Else"), "utf-8")
    with pytest.raises(SubmissionError, match="is listed twice"):
        listed(place)


def test_the_projects_own_list_is_valid(root):
    listed(root / ".github" / "verifiers.toml")


def test_a_verification_dated_after_the_submission_by_long_counts_as_well(folder):
    verify(folder, "reproduced", DAY + timedelta(days=100))
    assert problems(folder) == []

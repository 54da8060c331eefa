"""A file of one's own is read as strictly as the rules that ship, and changes only what it says."""

from fractions import Fraction

import pytest

from bench.errors import ProtocolError, UsageError
from bench.protocol.load import load, shipped
from bench.protocol.own import find
from bench.threats import Norm

SHIPPED = load("cifar10-v1")


@pytest.fixture
def own(tmp_path):
    def write(text, head='name = "mine"\nextends = "cifar10-v1"\n'):
        (tmp_path / "mine.toml").write_text(head + text, "utf-8")
        return find(str(tmp_path / "mine.toml"))

    return write


def test_a_name_is_a_protocol_that_ships():
    assert find("cifar10-v1") is SHIPPED


def test_a_file_that_says_nothing_more_has_the_rules_of_its_base(own):
    protocol = own("")
    for part in ("data", "threats", "curves", "attacks", "black_box", "checks", "calibration", "training", "grid"):
        assert getattr(protocol, part) == getattr(SHIPPED, part)
    assert protocol.presets == {
        name: preset.model_copy(update={"gaps": ()}) for name, preset in SHIPPED.presets.items()
    }
    assert (protocol.name, protocol.title, protocol.status) == ("mine", "mine", "draft")
    assert protocol.digest != SHIPPED.digest
    assert protocol.frozen is SHIPPED
    assert all(protocol.keeps(norm) for norm in Norm)


def test_a_threat_is_changed_by_its_norm_and_the_others_stay(own):
    protocol = own('[[threats]]\nnorm = "L2"\nepsilon = "1/4"\n')
    assert [threat.norm for threat in protocol.threats] == list(Norm)
    assert protocol.threat(Norm.L2).epsilon == Fraction(1, 4)
    assert protocol.threat(Norm.L2).attacks == SHIPPED.threat(Norm.L2).attacks
    assert protocol.threat(Norm.LINF) == SHIPPED.threat(Norm.LINF)


def test_settings_of_attacks_are_changed_one_by_one(own):
    protocol = own("[attacks.square]\nqueries = 70\n")
    assert protocol.attacks["square"] == {"queries": 70, "p_init": 0.8}
    assert protocol.attacks["apgd-ce"] == SHIPPED.attacks["apgd-ce"]
    assert [protocol.keeps(norm) for norm in (Norm.LINF, Norm.L2, Norm.L0)] == [False, False, True]


def test_attacks_that_no_cascade_names_any_more_take_their_settings_with_them(own):
    protocol = own('[[threats]]\nnorm = "L0"\nattacks = ["sparse-rs-ce"]\n')
    assert {"sigma-zero", "corner-beam"} & set(protocol.attacks) == set()
    assert protocol.threat(Norm.L0).epsilon == 5
    assert not protocol.keeps(Norm.L0)
    with pytest.raises(ProtocolError, match=r"mine\.toml, line 6, attacks: corner-search belong to no threat"):
        own('[[threats]]\nnorm = "L0"\nattacks = ["sparse-rs-ce"]\n[attacks.corner-search]\nfirst = 9000\n')


def test_other_points_are_never_held_against_the_digest_of_the_base(own):
    assert own("[data]\npoints = 7\n").data.digest is None
    data = own('[data]\ndataset = "npz"\npoints = 7\n[data.settings]\npath = "x.npz"\n').data
    assert (data.dataset, data.split, data.first, data.digest) == ("npz", "test", 0, None)


def test_other_points_are_never_held_against_the_files_of_the_base(own):
    head, names = 'name = "mine"\nextends = "imagenet-v1"\n', ("data", "held_out", "calibration")
    files = load("imagenet-v1").data.files
    assert all(getattr(own("", head), name).files == files for name in names)
    fewer = own("[data]\npoints = 7\n", head)
    assert (fewer.data.pin, fewer.held_out, fewer.calibration.pin) == (None, None, None)
    assert (fewer.calibration.split, fewer.calibration.first) == ("held-out", 1000)
    more = own('[data]\npoints = 7\n[held_out]\nsplit = "test"\nfirst = 7\n[checks.held-out]\nsteps = 2\n', head)
    assert (more.held_out.first, more.held_out.points, more.held_out.pin) == (7, 1000, None)
    other = own('[data]\ndataset = "folder"\npoints = 7\n', head).calibration
    assert (other.split, other.first, other.points, other.pin) == ("train", 0, 1024, None)


def test_a_pin_of_a_file_stands_in_place_of_that_of_the_base(own):
    head = 'name = "mine"\nextends = "svhn-v1"\n'
    protocol = own(f'[calibration]\ndigest = "{64 * "0"}"\n', head)
    assert (protocol.calibration.digest, dict(protocol.calibration.files)) == (64 * "0", {})
    assert protocol.data.files == load("svhn-v1").data.files
    pinned = own(f'[data]\nfiles = {{ "mine.tar" = "md5:{32 * "0"}" }}\npoints = 7\n')
    assert (pinned.data.digest, dict(pinned.data.files)) == (None, {"mine.tar": f"md5:{32 * '0'}"})


def test_presets_of_a_file_stand_in_place_of_all_others(own):
    protocol = own(
        '[presets.tiny]\nsays = "a look"\n[[presets.tiny.threats]]\nnorm = "Linf"\nattacks = ["apgd-ce"]\n'
        "[presets.tiny.settings]\napgd-ce = { steps = 3 }\nfmn = { steps = 4 }\n"
    )
    assert set(protocol.presets) == {"tiny"}
    tiny = protocol.under("tiny")
    assert tiny.cascade(Norm.LINF) == ("apgd-ce", "fmn")
    assert tiny.attacks["fmn"] == {"steps": 4}
    assert tiny.cascade(Norm.L2) == SHIPPED.cascade(Norm.L2)
    assert tiny.frozen is SHIPPED


def test_inherited_presets_do_not_claim_what_was_measured_under_other_rules(own):
    assert SHIPPED.presets["fast"].gaps
    assert own("[data]\npoints = 7\n").presets["fast"].gaps == ()


def test_a_preset_that_cuts_a_query_attack_cuts_it_in_the_black_box_too(own):
    text = (
        '[presets.tiny]\nsays = "a look"\n[[presets.tiny.threats]]\nnorm = "Linf"\nattacks = ["square"]\n'
        "[presets.tiny.settings]\nsquare = { queries = 3, p_init = 0.8 }\n"
        "[black_box.square]\nqueries = 7\np_init = 0.8\n"
    )
    assert own(text).black_box == {"square": {"queries": 7, "p_init": 0.8}}
    assert own(text).under("tiny").black_box == {}


def test_the_black_box_loses_attacks_that_no_threat_has_any_more(own):
    gone = "".join(f'[[threats]]\nnorm = "{norm}"\nattacks = ["apgd-ce"]\n' for norm in ("Linf", "L2"))
    assert own(gone).black_box == {}
    with pytest.raises(ProtocolError, match="black_box: square belong to no threat"):
        own(gone + "[black_box.square]\nqueries = 7\np_init = 0.8\n")


def test_a_whole_protocol_needs_no_base(tmp_path):
    text = shipped("digits-v1").replace('name = "digits-v1"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    with pytest.raises(ProtocolError, match=r"line 3, status: only a protocol that ships is released.*leave it out"):
        find(str(tmp_path / "mine.toml"))
    (tmp_path / "mine.toml").write_text(text.replace('status = "released"\n', ""), "utf-8")
    protocol = find(str(tmp_path / "mine.toml"))
    assert protocol.frozen is None
    assert protocol.origin.folder == tmp_path
    assert protocol.threats == load("digits-v1").threats


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n[data]\ncolour = 3\n", r"mine\.toml, line 5, data\.colour: Extra inputs"),
        ('[data]\ndataset = "npz"\n', r"mine\.toml, line 3, data\.points: Field required"),
        ('[data]\npoints = "many"\n', r"mine\.toml, line 4, data\.points: .*integer.*, got 'many'"),
        ('[[threats]]\nnorm = "L2"\nepsilon = 0.5\n', r"mine\.toml, line 5, threats\.0\.epsilon: 0\.5 is not exact"),
        ('[[threats]]\nnorm = "L1"\nepsilon = "1"\n', r"mine\.toml, line 3, threats\.0\.attacks: Field required"),
        ("seed = \n", r"mine\.toml is not TOML: .*line 3"),
        ('status = "released"\n', r"mine\.toml, line 3, status: only a protocol that ships"),
        ('digest = "x"\n', r"mine\.toml, line 3, digest is computed"),
        ("threats = 3\n", r"mine\.toml"),
        ("data = 3\n", r"mine\.toml"),
        ("attacks = 3\n", r"mine\.toml"),
        ('[presets.x]\nsays = "a"\n', r"mine\.toml, line 3, presets\.x\.threats: Field required"),
    ],
)
def test_an_error_names_file_line_and_field(own, text, says):
    with pytest.raises(ProtocolError, match=says):
        own(text)


@pytest.mark.parametrize("name", ["", "name = 3\n", 'name = "cifar10-v1"\n', 'name = "../up"\n', 'name = "A B"\n'])
def test_a_file_bears_a_name_of_its_own(own, name):
    with pytest.raises(ProtocolError, match=r"mine\.toml.*name: expected a name of its own"):
        own("", head=name)


def test_what_is_extended_ships(own):
    with pytest.raises(ProtocolError, match=r"line 2, extends: .*Did you mean 'cifar10-v1'"):
        own("", head='name = "mine"\nextends = "cifar10-v2"\n')


def test_a_file_that_is_not_there_says_what_ships(tmp_path):
    with pytest.raises(ProtocolError, match=r"No such file.*cifar10-v1"):
        find(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match="Did you mean"):
        find("cifar10-v2")


def test_a_preset_that_does_not_fit_together_is_named(own):
    head = (
        '[presets.x]\nsays = "a"\n[[presets.x.threats]]\nnorm = "Linf"\nattacks = ["apgd-ce"]\n[presets.x.settings]\n'
    )
    with pytest.raises(
        ProtocolError, match=r"mine\.toml, line 3, presets\.x: settings for square, which belong to none"
    ):
        own(head + "square = { queries = 3, p_init = 0.8 }\n")
    with pytest.raises(ProtocolError, match=r"presets\.x: no settings for apgd-dlr"):
        own(head.replace("apgd-ce", "apgd-dlr"))

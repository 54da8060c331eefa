"""Rules are read strictly, and their digest is over the rules alone."""

import re
from importlib import resources

import pytest

from bench.errors import ProtocolError, UsageError
from bench.protocol.load import load, names, parse
from bench.threats import Norm


@pytest.fixture
def rules() -> str:
    return (resources.files("bench.protocol") / "digits-v1.toml").read_text("utf-8")


@pytest.mark.parametrize("name", names())
def test_every_shipped_protocol_loads_under_its_own_name(name):
    assert load(name).name == name


def test_an_unknown_protocol_names_the_near_ones():
    with pytest.raises(UsageError, match="Did you mean 'digits-v1'"):
        load("digit-v1")


def test_an_unknown_key_is_named_with_its_place(rules):
    with pytest.raises(ProtocolError, match=r"data\.colour: Extra inputs are not permitted"):
        parse(rules.replace('split = "test"', 'split = "test"\ncolour = "grey"'), where="x.toml")


@pytest.mark.parametrize("epsilon", ["0.1", '"0.1"', '"1e-1"'])
def test_an_inexact_radius_is_refused(rules, epsilon):
    with pytest.raises(ProtocolError, match=r"threats\.0\.epsilon: .*not exact"):
        parse(rules.replace('epsilon = "1/10"', f"epsilon = {epsilon}"), where="x.toml")


def test_an_attack_without_settings_is_named(rules):
    with pytest.raises(ProtocolError, match="no settings for apgd-cee"):
        parse(rules.replace('"apgd-ce", "apgd-t"', '"apgd-cee", "apgd-t"', 1), where="x.toml")


def test_a_norm_is_listed_once(rules):
    with pytest.raises(ProtocolError, match="listed twice"):
        parse(rules.replace('norm = "L2"\nepsilon = "1/2"', 'norm = "Linf"\nepsilon = "1/2"'), where="x.toml")


def test_a_curve_rises(rules):
    with pytest.raises(ProtocolError, match="rise strictly"):
        parse(rules.replace('"1/64", "1/32"', '"1/32", "1/64"'), where="x.toml")


def test_what_is_not_toml_says_so():
    with pytest.raises(ProtocolError, match=r"broken\.toml is not TOML"):
        parse("name = ", where="broken.toml")


def test_a_digest_cannot_be_written_by_hand(rules):
    with pytest.raises(ProtocolError, match="computed"):
        parse('digest = "abc"\n' + rules, where="x.toml")


def test_comments_and_explanations_leave_the_digest_alone(rules):
    told = re.sub(r'summary = ".*"', 'summary = "Other words."', rules) + "\n# a comment\n"
    assert parse(told, where="x.toml").digest == load("digits-v1").digest


def test_any_rule_moves_the_digest(rules):
    assert parse(rules.replace("seed = 0", "seed = 1"), where="x.toml").digest != load("digits-v1").digest


def test_a_norm_that_is_not_there_is_named(rules):
    only = re.sub(r'\[\[threats\]\]\nnorm = "L2"\nepsilon = "1/2"\nattacks = [^\n]*\n', "", rules)
    with pytest.raises(UsageError, match="no L2 threat; it has Linf, L0"):
        parse(only, where="x.toml").threat(Norm.L2)


FILE = 'files = { "cifar-100-python.tar.gz" = "md5:eb9058c3a382ffc7106e4002c42a8d85" }'


@pytest.fixture
def filed() -> str:
    return (resources.files("bench.protocol") / "cifar100-v1.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (f'digest = "{64 * "0"}"\n{FILE}', "data: pinned by digest or by files, never by both"),
        ("", "data.digest: a released protocol pins its points, by their digest or by their files"),
        ("files = {}", "data.digest: a released protocol pins its points"),
        (FILE.replace("eb9058c3a382ffc7106e4002c42a8d85", "eb9058c3"), "String should match pattern"),
        (FILE.replace("md5:", "crc:"), "String should match pattern"),
        (FILE.replace("cifar-100", "../cifar-100"), "String should match pattern"),
        (FILE.replace('"md5:', '{ md5 = "').replace('" }', '" } }'), "valid string"),
    ],
)
def test_released_points_have_one_pin_that_is_spelled_in_full(filed, new, says):
    with pytest.raises(ProtocolError, match=re.escape(says)):
        parse(filed.replace(FILE, new, 1), where="x.toml")


def test_the_files_are_rules(filed):
    other = filed.replace("eb9058c3", "fb9058c3")
    assert parse(other, where="x.toml").digest != load("cifar100-v1").digest
    assert load("cifar100-v1").data.pin == "cifar-100-python.tar.gz md5:eb9058c3a382ffc7106e4002c42a8d85"

"""The page about the checks says what the tests hold."""

import re

from bench.evaluation.checks.check import CHECKS
from bench.protocol.load import load, names
from tests.support.check_table import PAGE, render


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == render()


def test_every_check_has_a_source_and_says_what_its_thresholds_mean():
    for check in (CHECKS[name] for name in CHECKS):
        assert re.search(r"\d{4}|this benchmark", check.source), check.name
        assert check.catches
        assert all(check.thresholds.values())


def test_the_protocols_of_the_boards_run_every_check():
    for name in names():
        missing = set(CHECKS) - set(load(name).checks)
        assert missing <= ({"replay"} if "smoke" in name else set()), name

"""The page about the repeated experiment says what was measured, and what was measured fits together."""

import json

import pytest

from tests.benchmarks import seed_mnist

NUMBERS = json.loads(seed_mnist.NUMBERS.read_text("utf-8"))


def test_the_page_shows_the_numbers_as_they_were_measured(root):
    page = (root / "bench/site/docs/seed.md").read_text("utf-8")
    assert seed_mnist.table(NUMBERS) in page
    assert "(seed_mnist.svg)" in page
    assert f"on {NUMBERS['measured'][0]['points']} test images" in page
    assert f"{NUMBERS['lessons']:,} training images" in page


def test_the_networks_are_pruned_to_the_weight():
    assert [mine["compression"] for mine in NUMBERS["measured"]] == list(seed_mnist.RATES)
    for mine in NUMBERS["measured"]:
        wanted = mine["prunable"] * (1 - 1 / mine["compression"])
        assert abs(mine["zeros"] - wanted) <= 1


@pytest.mark.parametrize("mine", NUMBERS["measured"], ids=lambda mine: f"compression-{mine['compression']}")
def test_no_attack_of_theirs_finds_more_and_no_curve_rises(mine):
    robust = mine["robust"]["Linf"]
    for attack in ("their_pgd", "their_pgd_logits"):
        assert all(robust[radius] <= standing for radius, standing in mine[attack].items())
    for curve in mine["robust"].values():
        counts = list(curve.values())
        assert counts == sorted(counts, reverse=True)
        assert counts[0] == mine["clean"]
    assert mine["cw_same_points"] <= mine["their_cw"]


def test_every_line_and_panel_of_the_figure_has_a_point_for_each_compression():
    lines = {}
    for point in seed_mnist.panels(NUMBERS):
        lines.setdefault((point["panel"], point["line"]), []).append(point["compression"])
    assert len(lines) == 6 + 4 + 6, "theirs everywhere, their attacks on our networks in four, ours everywhere"
    assert all(rates == list(seed_mnist.RATES) for rates in lines.values())

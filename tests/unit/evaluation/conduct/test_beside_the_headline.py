"""What is measured beside the robust accuracy costs no more than it, or a bounded number of passes a point."""

import pytest

from bench.threats import Norm
from tests.benchmarks.cell_strength import MOST, beside, gap, headline, holds, measure, merged, page


@pytest.fixture(scope="module")
def record():
    return measure("embedded:digits-tiny-linf", Norm.LINF, 8)


def test_curves_and_scenario_cost_no_more_than_the_headline(record):
    assert 0 < beside(record) <= headline(record)
    assert holds(record)


def test_every_point_is_accounted_for(record):
    broken = sum(row[1] for row in record["attacks"].values())
    assert record["correct"] == record["robust"] + broken
    stand, more, forwards, backwards = record["fast"]
    assert record["robust"] <= stand + broken
    assert 0 <= more <= stand
    assert forwards + backwards < headline(record)


def test_a_scenario_that_costs_more_is_named(record):
    correct = record["correct"]
    dear = record | {"network": "cnn_a_adv", "black_box": [0, headline(record) + MOST * correct]}
    assert not holds(dear)
    assert "on all but cnn_a_adv." in page(merged([record], [dear]))


def test_a_gap_is_that_of_all_points_and_of_the_worst_network(record):
    worse = record | {"network": "cnn_a_adv", "correct": 4, "fast": [3, 2, 0, 0]}
    assert gap([record, worse]) == {
        "networks": 2,
        "points": record["correct"] + 4,
        "more": record["fast"][1] + 2,
        "largest": [2, 4],
        "network": "cnn_a_adv",
    }

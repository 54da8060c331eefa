"""The seed paper's own published rows, read again by the checks.

The file holds means over runs and medians over images where the raw data held single runs and images, so it can show
less than was counted on the raw data (shared research notes): 484 of 1,385 runs miss their sparsity by two points,
173 are dead, and 88 % of the comparisons between L2 and Linf contradict each other.
"""

import csv
import math
from collections import Counter
from fractions import Fraction

import pytest

from bench.evaluation.checks.zoo.curves import steepest_rise
from bench.evaluation.checks.zoo.sparsity import sparsity_gap

pytestmark = pytest.mark.material
NUMBERS = {"CNN": 28 * 28, "ResNet8": 3 * 32 * 32, "VGG": 3 * 32 * 32, "ResNet": 3 * 224 * 224}
L2, L0 = "median_L2_CW(unreliable)", "median_L0_BB_features"


@pytest.fixture(scope="module")
def rows(material):
    with (material / "literature" / "seed_results.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def linf(row):
    """Radius to robust accuracy under PGD."""
    prefix = "pgd_RA_eps_"
    return {
        float(name.removeprefix(prefix).removesuffix("/255")) / 255: float(value)
        for name, value in row.items()
        if name.startswith(prefix) and value
    }


def test_all_published_runs_are_here(rows):
    assert (len(rows), sum(int(row["n_runs"]) for row in rows)) == (252, 1385)


def test_one_run_in_three_misses_its_sparsity_by_two_points(rows):
    runs = 0
    for row in rows:
        measured = 1 - Fraction(row["density_measured_mean"])
        if sparsity_gap(measured, 1 - 1 / Fraction(row["compression_rate_nominal"])) > 0.02:
            runs += int(row["n_runs"])
    assert runs == 486  # 484 on the raw data: two runs on the near side of the bar share a row with others beyond it


def test_dead_networks_are_among_the_published_rows(rows):
    assert sum(int(row["n_runs"]) for row in rows if float(row["clean_mean"]) <= 0.15) == 130  # a mean hides 43 of 173


def test_the_l2_attack_contradicts_pgd(rows):
    """Where PGD breaks more than half at ε, half of the images have L2 distances up to ε√d; C&W says otherwise."""
    tested, found = Counter(), Counter()
    for row in rows:
        numbers = NUMBERS[row["arch"]]
        for epsilon, robust in linf(row).items():
            reach = epsilon * math.sqrt(numbers)
            tested[row["arch"]] += robust < 0.5
            found[row["arch"]] += robust < 0.5 and float(row[L2]) > reach
    assert tested == {"CNN": 152, "ResNet8": 418, "VGG": 398, "ResNet": 201}
    assert found == {"CNN": 6, "ResNet8": 208, "VGG": 209, "ResNet": 195}


def test_the_l2_attack_contradicts_the_l0_attack(rows):
    """‖δ‖₂ ≤ √‖δ‖₀ for every image, hence for the medians too."""
    both = [row for row in rows if row[L0]]
    worse = [row for row in both if float(row[L2]) > math.sqrt(float(row[L0]))]
    assert (len(worse), len(both)) == (178, 221)


def test_robust_accuracy_above_the_clean_one_is_found(rows):
    """Two rows of VGG stand more than a point above their own clean accuracy, which was measured on other images."""
    above = []
    for row in rows:
        curve = {Fraction(radius): robust for radius, robust in linf(row).items()}
        if steepest_rise({Fraction(0): float(row["clean_mean"])} | curve) > 0.01:
            above.append(row["arch"])
    assert above == ["VGG", "VGG"]

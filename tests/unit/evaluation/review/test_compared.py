"""Every kind of lie that the arithmetic of a folder lets pass and its weights do not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.errors import DisagreementError, SubmissionError
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.review.compared import (
    compare_doubts,
    compare_flags,
    compare_network,
    compare_points,
    tied,
)
from bench.evaluation.review.replay import SAMPLE, chosen, replay, smoke
from bench.evaluation.review.review import at_hand, smoke_seed, sound
from bench.evaluation.review.table import Table, Verdict
from bench.submission.arrays import read_arrays
from bench.submission.check import Folder
from bench.submission.schema import Flag, Level
from bench.threats import Norm


@pytest.fixture(scope="module")
def place(request):
    return request.config.rootpath / "submissions/digits-v1/digits-tiny-linf--magnitude-global-90"


@pytest.fixture(scope="module")
def hand(place):
    """Return a committed entry, its network and its points."""
    return at_hand(place)


@pytest.fixture
def witnesses(place):
    return {name: array.copy() for name, array in read_arrays(place / "witnesses.npz").items()}


def disagreeing(table):
    return [row.what for row in table.rows if row.verdict is Verdict.DISAGREES]


def forged(entry, *, points=None, model=None, pruning=None):
    changes = {"model": model, "pruning": pruning}
    result = entry.result.model_copy(
        update={
            key: getattr(entry.result, key).model_copy(update=value)
            for key, value in changes.items()
            if value is not None
        }
    )
    return Folder(entry.submission, result, replace(entry.points, **(points or {})), entry.verification)


def test_what_is_true_agrees(hand, witnesses):
    entry, cell, target = hand
    table = Table()
    with exact_arithmetic():
        compare_network(table, entry, cell)
        compare_points(table, entry, cell, target)
        compare_doubts(table, entry, cell, target)
        replay(table, witnesses, target)
        fallen = smoke(table, entry, cell, target, 256, smoke_seed("a commit"))
    assert not disagreeing(table)
    assert fallen == {norm: [] for norm in Norm}
    assert {row.what for row in table.rows} >= {"weights", "zeros", "layers", "clean predictions", "L0 witnesses"}


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({"model": {"weights_sha256": "0" * 64}}, "weights"),
        ({"model": {"file_sha256": "0" * 64}}, "file of weights"),
        ({"model": {"architecture": "digits-cnn"}}, "architecture"),
        ({"model": {"parent_sha256": "0" * 64}}, "parent weights"),
        ({"model": {"parameters": 1249}}, "parameters"),
        ({"pruning": {"zeros": 1100}}, "zeros"),
        ({"pruning": {"structure": "2of4"}}, "structure"),
        ({"pruning": {"connected": 100}}, "connected"),
        ({"pruning": {"nonzero_macs": 1}}, "nonzero MACs"),
        ({"pruning": {"macs": 880}}, "MACs"),
        ({"pruning": {"bytes_packed": 500}}, "bytes packed"),
        ({"pruning": {"layers": ()}}, "layers"),
    ],
)
def test_figures_of_another_network_are_told(hand, changes, row):
    entry, cell, _ = hand
    table = Table()
    compare_network(table, forged(entry, **changes), cell)
    assert disagreeing(table) == [row]
    assert table.refuted


def test_zeros_moved_between_layers_are_told(hand):
    entry, cell, _ = hand
    first, second, *rest = entry.result.pruning.layers
    layers = (
        first.model_copy(update={"zeros": first.zeros - 1}),
        second.model_copy(update={"zeros": second.zeros + 1}),
        *rest,
    )
    table = Table()
    compare_network(table, forged(entry, pruning={"layers": layers}), cell)
    assert [row.found for row in table.rows if row.verdict is Verdict.DISAGREES] == [
        f"3, of which 2 differ, {first.name} first"
    ]


def test_invented_accuracy_is_told_with_its_points(hand):
    entry, cell, target = hand
    wrong = np.flatnonzero(~entry.points.correct)[:2]
    prediction = entry.points.prediction.copy()
    prediction[wrong] = entry.points.label[wrong]
    table = Table()
    compare_points(table, forged(entry, points={"prediction": prediction}), cell, target)
    (row,) = [row for row in table.rows if row.verdict is Verdict.DISAGREES]
    assert row.found == f"2 others: {entry.points.id[wrong[0]]}, {entry.points.id[wrong[1]]}"


@pytest.mark.parametrize("name", ["id", "label"])
def test_points_in_another_order_are_no_points_of_the_data_set(hand, name):
    entry, cell, target = hand
    with pytest.raises(DisagreementError, match="are not those of digits test"):
        compare_points(Table(), forged(entry, points={name: getattr(entry.points, name)[::-1]}), cell, target)


def test_foreign_clean_images_are_told(hand, witnesses):
    _, _, target = hand
    witnesses["clean_L2"][3] = np.nextafter(witnesses["clean_L2"][3], 1)
    table = Table()
    replay(table, witnesses, target)
    assert disagreeing(table) == ["L2 clean images"]


def test_witnesses_that_fool_nobody_are_told(hand, witnesses):
    _, _, target = hand
    witnesses["image_Linf"][5] = witnesses["clean_Linf"][5]
    table = Table()
    replay(table, witnesses, target)
    (row,) = [row for row in table.rows if row.verdict is Verdict.DISAGREES]
    assert (row.what, row.found) == ("Linf witnesses", f"1 fool nobody: {witnesses['id_Linf'][5]}")


def test_images_of_another_size_are_told(hand, witnesses):
    _, _, target = hand
    witnesses |= {f"{part}_L0": np.zeros((len(witnesses["id_L0"]), 3, 8, 8), np.float32) for part in ("image", "clean")}
    table = Table()
    replay(table, witnesses, target)
    assert disagreeing(table) == ["L0 clean images"]


def test_points_said_to_stand_fall_to_an_attack_that_nobody_foresaw(hand):
    entry, cell, target = hand
    distance = {norm: np.where(entry.points.correct, np.inf, 0).astype(np.float32) for norm in Norm}
    table = Table()
    with exact_arithmetic():
        fallen = smoke(table, forged(entry, points={"distance": distance}), cell, target, 256, smoke_seed("b"))
    assert set(disagreeing(table)) == {f"{norm} smoke attack" for norm in Norm}
    assert all(len(ids) > SAMPLE // 4 for ids in fallen.values())
    assert table.disagrees
    assert not table.refuted  # a lower count mends it


def test_the_sample_hangs_on_the_words_alone(hand):
    rows, ids = torch.arange(300), torch.arange(1000, 1300)
    one, two = (chosen(rows, ids, smoke_seed(words)) for words in ("a", "b"))
    assert one.tolist() == chosen(rows, ids, smoke_seed("a")).tolist() == sorted(one.tolist())
    assert len(one) == SAMPLE
    assert one.tolist() != two.tolist()
    assert chosen(rows[:5], ids, 0).tolist() == [0, 1, 2, 3, 4]


def test_a_doubt_that_an_entry_leaves_out_is_told():
    doubt = Flag(check="noise", level=Level.WARN, figure=1.0, threshold=0.0, says="It answers at random.")
    for recorded, found, agrees in (([], [doubt], False), ([doubt], [doubt], True), ([doubt], [], True)):
        table = Table()
        compare_flags(table, recorded, found, ["noise"])
        assert table.disagrees is not agrees


def test_only_what_is_first_but_for_rounding_counts_as_a_tie():
    logits = torch.tensor([[3.0, 3.0 - 1e-4, 0.0], [3.0, 2.9, 0.0], [300.0, 299.98, 0.0]])
    assert tied(logits, torch.tensor([1, 1, 1])).tolist() == [True, False, True]


def test_a_folder_with_a_problem_is_not_reviewed(place, tmp_path):
    folder = tmp_path / "digits-v1" / place.name
    folder.mkdir(parents=True)
    (folder / "submission.toml").write_bytes((place / "submission.toml").read_bytes())
    with pytest.raises(SubmissionError, match=r"result\.json is missing"):
        sound(folder)

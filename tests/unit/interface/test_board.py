"""The board as a pandas table: from submissions, from a site on disk, from a site on the web."""

import hashlib
import json
import subprocess
import sys

import pandas as pd
import pytest

import bench
from bench.cli.main import run
from bench.errors import ArtefactError, InputError
from bench.site import frame
from bench.submission.score import wilson
from tests.support.loopback import serving
from tests.support.sites import submissions


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "site"
    assert run(["site", "build", "--submissions", str(root), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def board(root):
    return bench.load_board(root)


def test_a_row_for_every_entry_and_norm_holds_the_counts_of_its_record(root, board):
    assert len(board) == 3 * 8
    for row in board.to_dict("records"):
        result = json.loads((root / row["protocol"] / row["entry"] / "result.json").read_text("utf-8"))
        (threat,) = [threat for threat in result["threats"] if threat["norm"] == row["norm"]]
        pruning = result["pruning"]
        assert (row["epsilon"], row["points"], row["correct"], row["robust"], row["best_known"]) == (
            threat["epsilon"],
            result["data"]["points"],
            result["clean"]["correct"],
            threat["robust"],
            threat["best_known"],
        )
        assert row["forwards"] == sum(attack["forwards"] for attack in threat["attacks"])
        assert row["black_box"] == result["scenarios"]["black-box"]["robust"][row["norm"]]
        assert [row[name] for name in ("zeros", "prunable", "nonzero", "macs", "bytes_packed")] == [
            pruning[name] for name in ("zeros", "prunable", "nonzero", "macs", "bytes_packed")
        ]


def test_counts_are_integers_and_shares_are_computed_from_them(board):
    for column in frame.STORED:
        kind = board[column.name].dtype
        assert pd.api.types.is_integer_dtype(kind) == (column.kind == "count"), column.name
    assert (board["best_known_share"] * board["points"]).round(9).tolist() == board["best_known"].tolist()
    assert (board["sparsity"] * board["prunable"]).round(6).tolist() == board["zeros"].tolist()
    for low, high, best, points in board[["best_known_low", "best_known_high", "best_known", "points"]].to_numpy():
        assert (low, high) == tuple(wilson(int(best), int(points)))


def test_every_column_says_what_it_means(board):
    assert list(board.columns) == list(board.attrs["columns"])
    assert all(says.endswith(".") for says in board.attrs["columns"].values())
    assert {column.name for column in (*frame.STORED, *frame.COMPUTED) if not column.optional}.isdisjoint(
        board.columns[board.isna().any()]
    )


def test_ranks_are_there_where_an_entry_has_one_and_missing_with_a_reason(board):
    ranked = board[board["rank"].notna()]
    assert len(ranked) > 3
    assert ranked["unranked"].isna().all()
    assert board[board["rank"].isna()]["unranked"].notna().all()
    assert (ranked["rank_best"] <= ranked["rank"]).all()


def test_a_site_on_disk_and_one_on_the_web_give_the_same_table(board, site):
    files = {
        f"/board/{path.relative_to(site)}": path.read_bytes() for path in (site / "data").iterdir() if path.is_file()
    }
    with serving(files) as server:
        there = bench.load_board(f"{server.url}/board/")
    for other in (bench.load_board(site), there):
        pd.testing.assert_frame_equal(other, board)
        assert other.attrs == board.attrs


def test_the_csv_of_a_site_is_the_stored_part_of_the_table(board, site):
    read = pd.read_csv(site / "data" / frame.FILE, parse_dates=["date"])
    assert list(read.columns) == [column.name for column in frame.STORED]
    for column in frame.STORED:
        ours = board[column.name]
        if column.kind == "count":
            assert read[column.name].astype("Int64").tolist() == ours.astype("Int64").tolist()
        elif column.name != "method":  # one of them begins like a formula, and is quoted
            assert read[column.name].astype("str").tolist() == ours.astype("str").tolist()
    assert read["method"].str.startswith("'=cmd").sum() == 3


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("entries.json", b'{"schema": "bench.site-entries/1", "entries": []}', ArtefactError),
        ("SHA256SUMS", b"", ArtefactError),
        ("SHA256SUMS", b"\xff", InputError),
    ],
)
def test_a_site_whose_data_are_not_what_it_says_is_refused(site, tmp_path, name, content, error):
    (tmp_path / "data").mkdir()
    for file in ("entries.json", "SHA256SUMS"):
        (tmp_path / "data" / file).write_bytes((site / "data" / file).read_bytes())
    (tmp_path / "data" / name).write_bytes(content)
    with pytest.raises(error):
        bench.load_board(tmp_path)


def test_data_of_another_schema_are_refused(tmp_path):
    (tmp_path / "data").mkdir()
    other = b'{"schema": "bench.site-entries/9", "entries": []}'
    (tmp_path / "data" / "entries.json").write_bytes(other)
    (tmp_path / "data" / "SHA256SUMS").write_text(f"{hashlib.sha256(other).hexdigest()}  entries.json\n", "utf-8")
    with pytest.raises(InputError, match="site-entries/9"):
        bench.load_board(tmp_path)


def test_a_folder_that_is_neither_says_what_was_expected(tmp_path):
    with pytest.raises(InputError, match="neither submissions"):
        bench.load_board(tmp_path)


def test_the_board_is_read_without_torch(root):
    code = f"import sys, bench\nrows = len(bench.load_board({str(root)!r}))\n"
    code += "sys.exit('torch' in sys.modules or rows != 24)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

"""Where a sweep stands is read from its folder, whatever became of its record and its clock."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.cli.main import run
from bench.errors import InputError
from bench.evaluation.record import ledger
from bench.evaluation.record.ledger import Ledger, read_lines, record_of
from bench.evaluation.record.standing import SWEEP, Standing, status
from bench.evaluation.record.standing_shown import document, lines, rendered, words
from bench.lock import held, holder, unfinished

NAMES = ["dense", "half", "<b>late</b>", "lost"]


@pytest.fixture
def sweep(tmp_path):
    book = Ledger(tmp_path)
    book.begin(record_of("digits-v1", "standard", [(name, None, 5) for name in NAMES], None))
    book.note("dense", "running")
    book.note("dense", "failed", "its process was ended by SIGKILL")
    (unfinished(tmp_path / "half")).mkdir()
    (unfinished(tmp_path / "half") / "journal.jsonl").write_bytes(b"{}\n{}\n")
    return tmp_path


def test_each_state_is_told_also_while_somebody_is_at_it(sweep):
    with held(sweep / SWEEP), held(sweep / "<b>late</b>"):
        found = status(sweep)
        assert found.holder == holder(sweep / SWEEP)
        assert found.holder.startswith("process ")
        states = [cell.state for cell in found.cells]
        assert states == [Standing.FAILED, Standing.STOPPED, Standing.RUNNING, Standing.WAITING]
    assert holder(sweep / SWEEP) is None
    assert found.cells[0].says == "its process was ended by SIGKILL"
    assert found.cells[1].batches == 2
    assert "1 running, 1 interrupted, 1 failed, 1 to do, of 4 cells." in words(found)[0]
    assert [row[1] for row in lines(found)[1]] == states
    assert [cell["state"] for cell in document(found)["cells"]] == states


def test_the_page_is_text_whatever_a_cell_is_called(sweep):
    page = rendered(status(sweep))
    assert "&lt;b&gt;late&lt;/b&gt;" in page
    assert "<b>late" not in page
    assert "0 of 4 cells" in page
    assert "://" not in page


def test_a_torn_line_is_left_out_and_the_next_is_not_glued_to_it(sweep):
    with (sweep / ledger.LINES_FILE).open("ab") as file:
        file.write(b'{"cell": "lost", "sta')
    Ledger(sweep).note("lost", "failed", "later")
    found = status(sweep)
    assert found.damaged == 1
    assert found.cells[3].says == "later"
    assert "1 lines of its record are damaged" in " ".join(words(found))


def test_a_clock_that_goes_back_changes_no_length_and_no_order(sweep, monkeypatch):
    moments = (datetime(2030, 1, 1, tzinfo=UTC) - timedelta(days=day) for day in range(9))

    class Backwards(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(moments)

    monkeypatch.setattr(ledger, "datetime", Backwards)
    book = Ledger(sweep)
    for state in ("running", "again", "running", "failed"):
        book.note("lost", state, state)
    told = [line for line in read_lines(sweep)[0] if line.cell == "lost"]
    assert [line.at for line in told] == sorted((line.at for line in told), reverse=True)
    assert [line.seconds for line in told] == sorted(line.seconds for line in told)
    assert 0 <= told[-1].took < 60
    assert status(sweep).cells[3].state is Standing.FAILED


def test_a_folder_of_no_sweep_or_with_a_damaged_plan_is_one_sentence(sweep, tmp_path, capsys):
    with pytest.raises(InputError, match="is no folder of a sweep"):
        status(tmp_path / "nowhere")
    (sweep / ledger.PLAN_FILE).write_bytes(b"{}")
    assert run(["sweep", "status", str(sweep)]) == 3
    assert "is damaged" in capsys.readouterr().err

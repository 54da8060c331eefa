"""What is wrong with a built site is found."""

import numpy as np
import pytest

from bench.site.inspect import problems, read


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<a href="b.html">x</a>', "'b.html' leads nowhere"),
        ('<a href="#gone">x</a>', "names an anchor that is not there"),
        ('<a href="index.html#top"></a>', "names an anchor that is not there"),
        ('<script src="https://cdn.example/x.js"></script>', "from elsewhere"),
        ('<img src="//cdn.example/x.png">', "from elsewhere"),
        ('<a href="http://example.org">x</a>', "is not https"),
        ('<a href="javascript:alert(1)">x</a>', "is not https"),
        ('<p style="color: red">x</p>', "p with style"),
        ('<p onclick="x()">x</p>', "p with onclick"),
        ("<script>x()</script>", "inline script"),
        ("<style>p {}</style>", "inline style"),
        ('<p id="a"></p><p id="a"></p>', "appears twice"),
        ('<figure class="chart"></figure>', "1 figures, but 0 drawn and 0 with rows"),
        ('<figure class="chart wide"><div class="plot"><svg></svg></div></figure>', "1 drawn and 0 with rows"),
        ('<script type="application/json" data-kind="pie">{}</script>', "no definition is called 'pie'"),
    ],
)
def test_a_fault_of_a_page_is_found(body, expected):
    found = problems({"index.html": body.encode()})
    assert any(expected in problem for problem in found), found


def test_a_sound_page_has_no_problem():
    page = b'<p id="x"></p><a href="a/b.html#y">x</a><a href="#x">x</a><a href="https://example.org">x</a>'
    assert problems({"index.html": page, "a/b.html": b'<p id="y"><a href="../index.html">x</a></p>'}) == []


def test_styles_load_nothing_and_weights_are_bounded():
    noise = np.random.default_rng(0).bytes(500_000)
    found = problems({"assets/a.css": b"p { background: url(https://x/y.png) }", "assets/b.js": noise})
    assert any("styles load nothing" in problem for problem in found)
    assert any("assets: " in problem for problem in found)


def test_boards_have_pages_so_that_none_grows_heavy():
    noise = np.random.default_rng(0).bytes(150_000).hex().encode()
    page = b"<table>" + b"<tr></tr>" * 2000 + b"</table><p>" + noise + b"</p>"
    assert problems({"sweet-spots.html": page}) == []
    (problem,) = problems({"boards/a-linf-2.html": page})
    assert "at most 150000 for 2000 rows" in problem


def test_the_script_of_a_long_board_is_light_for_its_rows():
    noise = np.random.default_rng(0).bytes(70_000)
    board = {f"boards/a-linf{page}.html": b"<tr></tr>" * 100 for page in ("", "-2")}
    assert problems({**board, "boards/a-linf.rows.abc.js": noise[:50_000]}) == []
    (problem,) = problems({**board, "boards/a-linf.rows.abc.js": noise})
    assert "at most 300 for each of 200 rows" in problem


def test_foreign_pages_are_told_of_not_tripped_over(tmp_path):
    (tmp_path / "index.html").write_bytes(b"<a href='https://[bad'>x</a><img src='//[x'>\xff")
    (tmp_path / "site.css").write_bytes(b"\xff")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index.html").write_bytes(b"<script>1</script>")
    (tmp_path / "linked.html").symlink_to("/dev/zero")
    assert problems(read(tmp_path)) == [
        "index.html: is not UTF-8.",
        "site.css: is not UTF-8.",
        "index.html: loads '//[x' from elsewhere.",
        "index.html: 'https://[bad' is not https.",
        "index.html: '//[x' is not https.",
    ]

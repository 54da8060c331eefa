"""An archive is judged by its headers: whatever is not plain arrays as expected is refused before it is decoded."""

import io
import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.check import examine, problems
from bench.submission.files import canonical
from tests.support.builders import write
from tests.support.carrying import carry


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, witnesses=True)


def archive(*members, **options):
    """Return a zip of (name, bytes) pairs, packed without the library's own checks."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", options.pop("method", zipfile.ZIP_DEFLATED)) as file:
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


def array(shape, kind="<f4", body=b"", order="False"):
    """Return an .npy that claims a shape and a type, and holds what it likes."""
    text = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}"
    return head(text) + body


def head(text):
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def repacked(folder, name, **members):
    """Return an archive of a submission with some members in other bytes."""
    arrays = read_arrays(folder / name)
    with zipfile.ZipFile(folder / name) as file:
        raw = {key: file.read(f"{key}.npy") for key in arrays}
    raw |= members
    return archive(*((f"{key}.npy", content) for key, content in raw.items()))


def objects(folder):
    out = io.BytesIO()
    np.savez(out, id=np.array([{"a": 1}, print], dtype=object))
    return out.getvalue()


def bomb(folder):
    """Eight megabytes that ask for eight gigabytes."""
    size = 2**31 - 200
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("image_Linf.npy", "w", force_zip64=True) as member,
    ):
        member.write(array(f"({size // 4},)"))
        for _ in range(64):
            member.write(bytes(2**20))
    return out.getvalue()


def put(**members):
    """Return what replaces arrays of a points.npz."""
    return lambda folder: repacked(folder, "points.npz", **members)


def of(*members, **options):
    return lambda folder: archive(*members, **options)


def cut(folder):
    return (folder / "points.npz").read_bytes()[:900]


def flipped(folder):
    whole = (folder / "points.npz").read_bytes()
    return whole[:400] + bytes(byte ^ 255 for byte in whole[400:420]) + whole[420:]


DAMAGED, NO_ARRAY = "expected plain arrays", "no plain array"
NOTHING, EIGHT = array("(0,)"), bytes(8)
RECORDS = "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (1,), }"
PICKLE = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtins\x94."
ARCHIVES = {
    "nothing at all": (lambda folder: b"", DAMAGED),
    "no archive": (lambda folder: b"PK\x03\x04 and then nothing", DAMAGED),
    "half an archive": (cut, DAMAGED),
    "an archive with flipped bytes": (flipped, DAMAGED),
    "a pickle": (lambda folder: PICKLE, DAMAGED),
    "a bare .npy": (lambda folder: array("(3,)", body=bytes(12)), DAMAGED),
    "object arrays": (objects, NO_ARRAY),
    "no arrays": (of(), "no array 'id'"),
    "more arrays than are read": (put(**{f"x{number}": NOTHING for number in range(600)}), "members, at most"),
    "two members of one name": (lambda folder: twice(), "two members of one name"),
    "a member that climbs": (of(("../../etc/id.npy", NOTHING)), "a member called '../../etc/id.npy'"),
    "a member that moves the cursor": (of(("\x1b[2J.npy", NOTHING)), "a member called '\\x1b[2J.npy'"),
    "a member that is no array": (of(("readme.txt", b"hello")), "a member called 'readme.txt'"),
    "bzip2": (of(("id.npy", NOTHING), method=zipfile.ZIP_BZIP2), "packed by method 12"),
    "lzma": (of(("id.npy", NOTHING), method=zipfile.ZIP_LZMA), "packed by method 14"),
    "an encrypted member": (lambda folder: encrypted(), "is encrypted"),
    "a header that asks for terabytes": (put(id=array("(1000000000000,)", "<i8")), "not as many as int64"),
    "eight enormous sides": (put(id=array(f"({', '.join(['999999999999999'] * 8)})", "<i8")), "not as many as"),
    "a shape below zero": (put(id=array("(-5,)", "<i8")), NO_ARRAY),
    "a shape that is code": (put(id=array("(__import__('os').getpid(),)", "<i8")), NO_ARRAY),
    "a header of brackets": (put(id=head("(" * 117)), NO_ARRAY),
    "a header that is too long": (put(id=b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(99)), NO_ARRAY),
    "a structured type": (put(id=head(RECORDS)), NO_ARRAY),
    "big endian": (put(id=array("(1,)", ">i8", EIGHT)), NO_ARRAY),
    "text": (put(id=array("(1,)", "<U2", EIGHT)), NO_ARRAY),
    "complex numbers": (put(id=array("(1,)", "<c8", EIGHT)), NO_ARRAY),
    "columns first": (put(id=array("(1,)", "<i8", EIGHT, order="True")), NO_ARRAY),
    "another type": (put(id=array("(1,)", "<i4", bytes(4))), "'id' is int32 of shape (1,)"),
    "a matrix in place of a row": (
        put(label=array("(500, 1)", "<i8", bytes(4000))), "'label' is int64 of shape (500, 1), expected int64 of shape",
    ),
    "an unknown array": (put(extra=NOTHING), "an unknown array 'extra'"),
    "an attack of no norm": (put(broken_L7_x=array("(500,)", "|b1", bytes(500))), "an unknown array"),
    "a bit that is seven": (
        put(**{"broken_Linf_apgd-ce": array("(500,)", "|b1", bytes([7] * 500))}), "neither true nor false",
    ),
    "too many points": (of(("id.npy", array("(300000,)", "<i8", bytes(2400000)))), "300000 points, at most 200000"),
    "more bytes than its header says": (put(id=array("(1,)", "<i8", bytes(80))), "not as many as"),
}  # fmt: skip


def twice():
    with pytest.warns(UserWarning, match="Duplicate name"):
        return archive(("id.npy", array("(0,)")), ("id.npy", array("(0,)")))


def encrypted():
    made = bytearray(archive(("id.npy", array("(0,)"))))
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        made[made.index(sign) + at] |= 1
    return bytes(made)


@pytest.mark.parametrize("what", ARCHIVES)
def test_an_archive_that_is_not_plain_arrays_is_refused(folder, what):
    make, expected = ARCHIVES[what]
    (folder / "points.npz").write_bytes(make(folder))
    found = problems(folder)
    assert any("points.npz" in problem and expected in problem for problem in found), found


WITNESSES = {
    "images without channels": ({"image": "(1, 0, 8, 8)", "clean": "(1, 0, 8, 8)"}, "expected 1 or 3 channels"),
    "images of two channels": ({"image": "(1, 2, 8, 8)", "clean": "(1, 2, 8, 8)"}, "expected 1 or 3 channels"),
    "an image of no height": ({"image": "(1, 1, 0, 8)", "clean": "(1, 1, 0, 8)"}, "sides of 1 to 1024"),
    "an image a mile wide": ({"image": "(1, 1, 1, 2000)", "clean": "(1, 1, 1, 2000)"}, "sides of 1 to 1024"),
    "images flat as a row": ({"image": "(1, 64)", "clean": "(1, 64)"}, "do not fit"),
    "another clean image": ({"image": "(1, 1, 8, 8)", "clean": "(1, 1, 8, 9)"}, "do not fit"),
    "images in halves": ({"kind": "<f2"}, "needs int64 ids and float32 images"),
    "norms that differ in shape": (
        {"image": "(1, 1, 4, 4)", "clean": "(1, 1, 4, 4)", "norms": ("L2",)}, "differ in shape",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WITNESSES)
def test_witnesses_are_refused_by_their_headers(folder, what):
    changes, expected = WITNESSES[what]
    kind, changed = changes.get("kind", "<f4"), {}
    for norm in changes.get("norms", ("Linf", "L2", "L0")):
        changed[f"id_{norm}"] = array("(1,)", "<i8", bytes(8))
        for part in ("image", "clean"):
            shape = changes.get(part, "(1, 1, 8, 8)")
            count = int(np.prod(eval(shape)))
            changed[f"{part}_{norm}"] = array(shape, kind, bytes(count * np.dtype(kind).itemsize))
    (folder / "witnesses.npz").write_bytes(repacked(folder, "witnesses.npz", **changed))
    found = problems(folder)
    assert any("witnesses.npz" in problem and expected in problem for problem in found), found


def test_missing_and_strange_arrays_of_witnesses_are_named(folder):
    (folder / "witnesses.npz").write_bytes(pack_arrays({"id_Linf": np.zeros(0, np.int64)}))
    assert any("witnesses.npz: expected the arrays" in problem for problem in problems(folder))


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))


def test_eight_megabytes_that_ask_for_eight_gigabytes_are_refused_in_a_gigabyte(folder):
    (folder / "witnesses.npz").write_bytes(bomb(folder))
    assert (folder / "witnesses.npz").stat().st_size < 4 * 2**20
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bench", "submission", "check", str(folder)],
        capture_output=True, text=True, check=False, preexec_fn=limited,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "witnesses.npz" in done.stdout
    assert time.monotonic() - started < 30


@settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(["points.npz", "witnesses.npz", "result.json", "submission.toml", "verification.json"]),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    kept=st.floats(0, 1) | st.just(1.0),
)
def test_no_bytes_make_the_check_stumble(folder, name, edits, kept):
    path = folder / name
    whole = path.read_bytes()
    spoilt = bytearray(whole[: int(len(whole) * kept)])
    for place, byte in edits if spoilt else ():
        spoilt[int(place * len(spoilt))] = byte
    path.write_bytes(spoilt)
    try:
        assert all(isinstance(sentence, str) for sentence in examine(folder)[1])
    finally:
        path.write_bytes(whole)


def steps(value):
    """Yield the way to every value inside a record, its own parts included."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inside:
        yield (step,)
        yield from ((step, *further) for further in steps(part))


LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 600) | st.sampled_from([2**53, 2**64, -1, 10**400])
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
    | st.sampled_from(["Linf", "L0", "1/10", "9/10", "0", "x" * 900, "dense", "channel", "digits-v1", "transfer"])
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Return two entries, one measured beside a parent, with every way into their records."""
    root = tmp_path_factory.mktemp("records")
    made = [
        write(root, id="dense", witnesses=True),
        carry(write(root, id="half", recipe="of others", sparsity=Fraction(1, 2), theirs="x", witnesses=True)),
    ]
    return [
        (folder, told := json.loads((folder / "result.json").read_text("utf-8")), [*steps(told)]) for folder in made
    ]


@settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_value_makes_the_check_stumble(records, data):
    folder, told, ways = data.draw(st.sampled_from(records))
    changed = json.loads(json.dumps(told))
    for way in data.draw(st.lists(st.sampled_from(ways), min_size=1, max_size=3)):
        place, (*before, last) = changed, way
        for step in before:
            inside = isinstance(place, dict) or (isinstance(place, list) and step in range(len(place)))
            place = place[step] if inside and (isinstance(place, list) or step in place) else {}
        if isinstance(place, dict) or last in range(len(place) if isinstance(place, list) else 0):
            place[last] = data.draw(VALUES)
    whole = (folder / "result.json").read_bytes()
    (folder / "result.json").write_bytes(canonical(changed))
    try:
        assert all(isinstance(sentence, str) and sentence for sentence in examine(folder)[1])
    finally:
        (folder / "result.json").write_bytes(whole)


KINDS = ["<i8", "<f4", "|b1", "<f8", "<i4", ">f4", "|u1"]


@settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_arrays_make_the_check_stumble(records, data):
    folder, *_ = data.draw(st.sampled_from(records))
    path = folder / data.draw(st.sampled_from(["points.npz", "witnesses.npz"]))
    whole, arrays = path.read_bytes(), {name: values.copy() for name, values in read_arrays(path).items()}
    for name in data.draw(st.lists(st.sampled_from(sorted(arrays)), min_size=1, max_size=3)):
        values, rows = arrays[name], data.draw(st.integers(0, 3))
        if data.draw(st.booleans()) and values.size:
            place = data.draw(st.integers(0, values.size - 1))
            values.reshape(-1)[place] = (
                data.draw(st.sampled_from([0, 1, -1, 499, 2**31])) if values.dtype != bool else 1
            )
        else:
            kind = np.dtype(data.draw(st.sampled_from(KINDS)))
            arrays[name] = np.zeros((rows, *values.shape[1:]) if data.draw(st.booleans()) else (rows, 2), kind)
    path.write_bytes(pack_arrays(arrays))
    try:
        assert all(isinstance(sentence, str) and sentence for sentence in examine(folder)[1])
    finally:
        path.write_bytes(whole)

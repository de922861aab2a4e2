"""Tables of scores say the same as arrays, and what is wrong with one is said with its line."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mis.attacks import audit, load
from mis.numerics.checks import InputWarning, InvalidInput

TARGETS, RECORDS = 12, 30


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(5)
    membership = rng.random((TARGETS, RECORDS)) < 0.5
    return {"scores": rng.normal(size=membership.shape) + 1.5 * membership, "membership": membership}


def rows_of(arrays):
    """Lines ``score, member, target, id`` of a table, every score to the last digit."""
    return [
        (repr(float(score)), int(arrays["membership"][place]), *place)
        for place, score in np.ndenumerate(arrays["scores"])
    ]


def written(path, header, rows, separator=","):
    lines = [separator.join(map(str, row)) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_long_in_any_order_says_what_arrays_say(arrays, tmp_path, rng):
    expected = audit(**arrays)
    rows = rng.permutation(np.array(rows_of(arrays), dtype=object))
    for name, separator in (("a.csv", ","), ("A.TSV", "\t")):
        path = written(tmp_path / name, ["Score", " MEMBER", "target", "Id"], rows, separator)
        found = audit(**load(path))
        assert found.to_json() == expected.to_json()
        assert {k: v.tolist() for k, v in found.risks().items()} == {
            k: v.tolist() for k, v in expected.risks().items()
        }
        for column, values in expected.records().items():
            np.testing.assert_array_equal(found.records()[column], values)
    swapped = [row[::-1] for row in rows]
    assert load(written(tmp_path / "b.csv", ["id", "target", "member", "score"], swapped)).keys() == {
        "scores",
        "membership",
        "targets",
        "ids",
    }


def test_wide_says_what_arrays_say(arrays, tmp_path):
    header = [f"{name}_{k}" for k in range(TARGETS) for name in ("score", "member")]
    rows = [
        [x for k in range(TARGETS) for x in (repr(float(arrays["scores"][k, i])), arrays["membership"][k, i])]
        for i in range(RECORDS)
    ]
    assert audit(**load(written(tmp_path / "w.csv", header, rows))).to_json() == audit(**arrays).to_json()
    named = [[f"r{i}", *row] for i, row in enumerate(rows)]
    # A record that was not given to a target is as one that the long form does not have.
    named[3][1:3] = "", ""
    found = audit(**load(written(tmp_path / "w.csv", ["id", *header], named)))
    rest = [row for row in rows_of(arrays) if row[2:] != (0, 3)]
    long = audit(**load(written(tmp_path / "l.csv", ["score", "member", "target", "id"], rest)))
    assert found.to_json() == long.to_json() != audit(**arrays).to_json()
    assert "(1 pairs of target and id have no score)" in long.table()
    assert found.num_members + found.num_nonmembers == TARGETS * RECORDS - 1


def test_one_target_model_and_what_else_people_write(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(b'\xef\xbb\xbfmember,"score",note\r\n1,2\r\n'.replace(b"1,2", b"1,2,a"))
    with path.open("ab") as file:
        file.write(b'true,inf,"b, ""c"""\r\n\r\nFALSE,-1e-3,\r\n0 , .5,x\r\n')
    with pytest.warns(InputWarning, match=r"s\.csv: not read: 'note'"):
        found = load(path)
    assert found["scores"] == [2, np.inf, -0.001, 0.5]
    assert found["membership"].tolist() == [True, True, False, False]
    assert found.keys() == {"scores", "membership"}
    assert audit(**found).risks() == {}


def test_standard_input(monkeypatch):
    text = io.BytesIO(b"score,member\n1,1\n2,x\n")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=text))
    with pytest.raises(
        InvalidInput, match=r"^standard input, line 3: expected member 0, 1, true or false, got"
    ):
        load("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InvalidInput, match="standard input: expected a table, got none"):
        load("-")


HEADER = b"score,member\n"
BAD = {
    "no header": (b"0.5,1\n0.2,0\n", r": expected a header .* got '0.5, 1'"),
    "empty": (b"", "got an empty file"),
    "blank": (b"\n\n", "got an empty file"),
    "only a header": (HEADER, "expected records below the header, got none"),
    "text": (HEADER + b"1,1\n\nabc,0\n", r", line 4: expected score a number, got score='abc'"),
    "nan": (HEADER + b"NaN,1\n", r", line 2: expected score a number, got score='NaN'"),
    "underscore": (HEADER + b"1_0,1\n", "score='1_0'"),
    "comma for a point": (
        HEADER + b"0,5,1\n",
        r", line 2: expected 2 fields as in the header, got 3: '0,5,1'",
    ),
    "too large": (HEADER + b"1e999,1\n", r"line 2: expected score a number that float64 can hold"),
    "large integer": (
        HEADER + b"1" * 400 + b",1\n",
        r"line 2: expected score a number that float64 can hold",
    ),
    "no score": (HEADER + b"1,1\n,0\n", r", line 3: expected score a number, got nothing"),
    "no member": (HEADER + b"1,\n", r", line 2: expected member 0, 1, true or false, got nothing"),
    "member": (HEADER + b"1,1\n2,yes\n", r", line 3: expected member .* got member='yes'"),
    "member 2": (HEADER + b"1,2\n", "got member='2'"),
    "short line": (HEADER + b"1\n", r"line 2: expected 2 fields as in the header, got 1"),
    "quote": (HEADER + b'"1,1\n', "unexpected end of data"),
    "column twice": (
        b"score,Score,member\n1,1,1\n",
        "expected names of columns that differ, got 'score' twice",
    ),
    "repeated": (
        b"score,member,target,id\n1,1,a,x\n2,0,b,x\n3,0,a,x\n",
        r", line 4: expected one score for each target and id, got target='a' and id='x' also in line 2",
    ),
    "no target": (
        b"score,member,id\n1,1,x\n2,0,x\n",
        r", line 3: expected one row for each id, got id='x' also in line 2; a column target",
    ),
    "no id": (b"score,member,id\n1,1,\n", r"line 2: expected id printable text or an integer, got nothing"),
    "half of wide": (b"score_a,score_b,member_a\n1,2,1\n", "expected a column member_b beside score_b"),
    "wide cell": (b"score_a,member_a\n1,1\n,1\n", r"line 3: expected score_a a number, got nothing"),
    "wide member": (
        b"score_a,member_a\n1,1\n1,\n",
        r"line 3: expected member_a 0, 1, true or false, got nothing",
    ),
    "wide id": (b"id,score_a,member_a\n7,1,1\n7,1,0\n", r"line 3: expected one row for each id, got id='7'"),
    "both": (b"score,member,score_a,member_a\n1,1,1,1\n", "got both"),
    "semicolons": (b"score;member\n1;1\n", "expected a header"),
    "binary": (b"PK\x03\x04\x00\x00", "expected a table of text in UTF-8, got a binary file"),
    "latin": (HEADER + b"1,1\n\xff,1\n", r", line 3: expected text in UTF-8, got the byte b'\\xff'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_with_its_line(name, tmp_path):
    content, part = BAD[name]
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=part) as refusal:
        load(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == content


def test_no_such_file(tmp_path):
    for path, said in ((tmp_path / "no.csv", "No such file"), (tmp_path, "cannot be read")):
        with pytest.raises(InvalidInput, match=said):
            load(path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InvalidInput, match=r"folder\.csv: cannot be read: Is a directory"):
        load(tmp_path / "folder.csv")


def test_digits_that_float64_cannot_hold_are_refused(tmp_path):
    rows = [(1_700_000_000_000_000_001 + i, i % 2) for i in range(6)]
    with pytest.raises(InvalidInput, match="float64 can tell apart"):
        audit(**load(written(tmp_path / "s.csv", ["score", "member"], rows)))


def test_parquet_without_pyarrow_names_the_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InvalidInput, match=r"s\.parquet: .*pip install pyarrow"):
        load(tmp_path / "s.parquet")


def test_parquet(arrays, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    import pyarrow

    columns = dict(zip(("score", "member", "target", "id"), zip(*rows_of(arrays), strict=True), strict=True))
    columns["score"] = list(map(float, columns["score"]))
    path = tmp_path / "s.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    assert audit(**load(path)).to_json() == audit(**arrays).to_json()
    for column, value, said in (
        ("score", None, "score a number, got nothing"),
        ("score", np.nan, "score a number, got score=nan"),
        ("member", 3, "got member=3"),
        ("id", 1, "got target='0' and id='1' also in row 2"),
    ):
        values = list(columns[column])
        values[2] = value
        parquet.write_table(pyarrow.table(columns | {column: values}), path)
        with pytest.raises(InvalidInput, match=f"row 3: expected .*{said}"):
            load(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InvalidInput, match=r"expected a \.parquet file, cannot be read"):
        load(path)

"""A published work done again, on a page: claims, verdicts and what they rest on are those of its record."""

import json
from pathlib import Path

import pytest

from mis.cli import main
from mis.report import READERS

RECORD = Path(__file__).parents[2] / "benchmarks/results/leakage-quick.json"


def test_claims_are_those_of_the_record():
    found = json.loads(RECORD.read_text())
    [table] = [table for table in READERS["work"](found).tables() if table.title == "Claim by claim"]
    for row, one in zip(table.rows, found["verdicts"], strict=True):
        claim, verdict, quantity, rests_on = row
        assert (claim, verdict, rests_on) == (one["claim"], one["verdict"], one["rests_on"])
        assert (quantity.lower, quantity.value, quantity.upper, quantity.kind) == tuple(
            one["quantity"][end] for end in ("lower", "value", "upper", "kind")
        )
    text = " ".join(READERS["work"](found).answers.gain)
    said = {"holds": "hold", "falls": "fall", "cannot be told": "cannot be told at this size"}
    for word, shown in said.items():
        assert f"{sum(one['verdict'] == word for one in found['verdicts'])} {shown}" in text


def test_a_page_of_it_is_written(tmp_path):
    main(["report", str(RECORD), "--out", str(tmp_path)])
    page = (tmp_path / "report.html").read_text()
    assert "A published work done again: leakage" in page
    assert "Theirs beside ours" in page


@pytest.mark.parametrize("missing", ["verdicts", "published", "settings", "work"])
def test_damage_is_one_line(missing, tmp_path, capsys):
    found = json.loads(RECORD.read_text())
    del found[missing]
    (tmp_path / "study.json").write_text(json.dumps(found))
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path)])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1

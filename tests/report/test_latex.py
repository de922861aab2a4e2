"""Tables in LaTeX: what TeX reads is what the file holds."""

import json
import re
import shutil
import subprocess

import pytest

from mis.cli import main
from mis.report.latex import latex, plain
from mis.report.page import Column, Estimate, Table

TEX = shutil.which("pdflatex")
DOCUMENT = r"""\documentclass[twocolumn]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""
# Control words that the tables use.
WORDS = {
    *(
        "begin",
        "end",
        "centering",
        "footnotesize",
        "scriptsize",
        "caption",
        "medskip",
        "par",
        "toprule",
        "midrule",
    ),
    *("bottomrule", "multicolumn", "pm", "leq", "geq", "cdot", "infty", "ldots"),
    *(
        "textbackslash",
        "textasciicircum",
        "textasciitilde",
        "textless",
        "textgreater",
        "textbar",
        "textsuperscript",
    ),
}


def printed(capsys, *tokens):
    main([str(token) for token in tokens])
    return capsys.readouterr().out


def strictly(text):
    """Read the tables as TeX would: groups and environments close, rows have their columns, words are known."""
    text = re.sub(r"(?<!\\)%.*", "", text)
    assert set(re.findall(r"\\([a-zA-Z]+)", text)) <= WORDS
    assert set(re.findall(r"\\([^a-zA-Z])", text)) <= set("\\{}$&#%_,")
    bare = re.sub(r"\\[\\{}$&#%_,]", "", text)
    assert not re.search('[#~"`]', bare.replace("{`}", ""))
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[_^]", re.sub(r"\$[^$]*\$", "", bare))
    begun = [found[1] for found in re.finditer(r"\\begin\{([^}]*)\}", text)]
    assert sorted(begun) == sorted(found[1] for found in re.finditer(r"\\end\{([^}]*)\}", text))
    assert set(begun) <= {"table", "table*", "tabular"}
    for layout, body in re.findall(
        r"\\begin\{tabular\}\{((?:[^{}]|\{[^{}]*\})*)\}(.*?)\\end\{tabular\}", text, re.DOTALL
    ):
        columns = len(re.sub(r"p\{[^}]*\}", "p", layout))
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {columns}
    return text


@pytest.mark.parametrize("name", ["all", "ranking-hostile", "audit-hostile", "inspection-hostile"])
def test_strictly_read(capsys, folders, name):
    text = strictly(printed(capsys, "report", folders / name, "--latex"))
    if "hostile" in name:
        assert r"\textless{}script\textgreater{}alert(1)\textless{}" in text
    else:
        document = json.loads((folders / "ranking/ranking.json").read_text())
        for row in document["rows"]:
            assert rf"$\leq {row['mis']['upper']:.3f}$" in text


@pytest.mark.skipif(TEX is None, reason="there is no LaTeX here")
@pytest.mark.parametrize("name", ["all", "ranking-hostile", "audit-hostile", "inspection-hostile"])
def test_compiled(capsys, folders, tmp_path, name):
    (tmp_path / "a.tex").write_text(
        DOCUMENT % printed(capsys, "report", folders / name, "--latex"), encoding="utf-8"
    )
    # No shell, and no file outside.
    command = [TEX, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    said = found.stdout.decode("latin-1")
    assert found.returncode == 0, said[-2000:]
    if name == "all":
        assert "Overfull" not in said
        assert "Missing character" not in said


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(value=0.5, lower=0.4, upper=0.6, kind="attack", level=0.95), r"$0.500 \pm 0.100$"),
        (
            Estimate(value=0.5, lower=0.4, upper=0.7, kind="attack", level=0.95),
            r"$0.500_{\,[0.400,\,0.700]}$",
        ),
        (
            Estimate(value=-0.5, lower=-0.7, upper=-0.4, kind="attack", level=0.95),
            r"$-0.500_{\,[-0.700,\,-0.400]}$",
        ),
        (Estimate(value=0.5, lower=0.5, upper=0.5, kind="exact"), r"$0.500$"),
        (
            Estimate(value=1.0, lower=1.0, upper=float("inf"), kind="attack", level=0.95),
            r"$1.000_{\,[1.000,\,\infty]}$",
        ),
        (7, "$7$"),
        (None, "--"),
        ("[a] & b--c", r"{}[a] \& b-{}-c"),
    ],
)
def test_cells(found, text):
    table = Table(title="t", columns=[Column(name="a"), Column(name="b")], rows=[["x", found]])
    assert f"x & {text} \\\\\n" in latex([table])


def test_small_and_large_numbers():
    column = Column(name="b", significant=True)
    table = Table(title="t", columns=[Column(name="a"), column], rows=[["x", 1.74e-5], ["y", 2.0e9]])
    assert r"x & $1.74 \cdot 10^{-5}$ \\" in latex([table])
    assert r"y & $2 \cdot 10^{9}$ \\" in latex([table])
    assert Column(name="p", small=True).number(1e-9) == "<0.001"


def test_plain():
    assert plain("a---b") == "a-{}-{}-b"
    assert plain("\\input{x}") == r"\textbackslash{}input\{x\}"


def test_every_command_prints_its_tables(capsys, folders, tmp_path):
    """What a command prints is what the report of its file prints."""
    audit = printed(capsys, "audit", folders / "audit/scores.csv", "--latex", "--json", tmp_path / "a.json")
    assert audit == printed(capsys, "report", tmp_path / "a.json", "--latex")
    assert r"\toprule" in strictly(audit)
    at = folders / "inspection"
    found = printed(
        capsys,
        "inspect",
        at / "sign.npz",
        "--against",
        at / "full.npz",
        "--latex",
        "--json",
        tmp_path / "i.json",
    )
    assert found == printed(capsys, "report", tmp_path / "i.json", "--latex")
    assert r"\toprule" in strictly(found)

"""The page as Markdown, read back by a parser of Markdown: the same numbers, and names that mean nothing in it."""

import json

import pytest
from markdown_it import MarkdownIt

from mis.report.markdown import plain
from mis.report.writing import report

PARSER = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def tokens_of(text):
    return [token for token in PARSER.parse(text) if token.type != "html_block"]


def texts(tokens):
    return ["".join(child.content for child in token.children) for token in tokens if token.type == "inline"]


def rows(text):
    """Rows of all tables, cells as they are read."""
    found, row = [], None
    for token in PARSER.parse(text):
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            found.append(row)
        elif token.type == "inline" and row is not None and token.level >= 4:
            row.append("".join(child.content for child in token.children))
    return found


@pytest.mark.parametrize(
    "name", ["ranking", "audit", "inspection", "ranking-hostile", "audit-hostile", "inspection-hostile"]
)
def test_nothing_in_a_name_means_anything(folders, tmp_path, name):
    text = report(folders / name, tmp_path)[1].read_text(encoding="utf-8")
    found = PARSER.parse(text)
    assert [token.content.strip() for token in found if token.type == "html_block"] == ["<!-- mis report -->"]
    kinds = {child.type for token in found for child in token.children or ()}
    # Titles of tables are bold.
    assert kinds <= {"text", "strong_open", "strong_close", "text_special"}
    links = {token.type for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text)}
    assert not {"link_open", "image"} & links


@pytest.mark.parametrize(
    "text",
    ["a|b `c` *d* _e_ [f](g) ![h](i) <j> &amp; ~~k~~ # $l$ \\ m", "- a", "+ a", "1. a", "12) a", "# a", "=== a", "> a",
     "http://a.example", "WWW.a.example", "a@b.example", "**", "``", "\\|", "a\nb"],
)  # fmt: skip
def test_plain_is_shown_as_it_is(text):
    [opened, inline, closed] = PARSER.parse(plain(text))
    assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
    assert "".join(child.content for child in inline.children) == " ".join(text.split())
    assert {child.type for child in inline.children} <= {"text", "text_special"}
    # And in a table.
    [_, line] = rows(f"| a | b |\n|---|---|\n| {plain(text)} | c |")
    assert line == [" ".join(text.split()), "c"]


def test_numbers(folders, tmp_path):
    document = json.loads((folders / "ranking/ranking.json").read_text())
    found = {
        tuple(row[:1]): row for row in reversed(rows(report(folders / "ranking", tmp_path)[1].read_text()))
    }
    for row in document["rows"]:
        line = found[row["release"],]
        # Of what is released: bits, zeros, performance, train_performance, advantage.
        for name, cell in (("performance", line[3]), ("advantage", line[5]), ("predicted", line[7])):
            assert cell == "{value:.3f} [{lower:.3f}, {upper:.3f}]".format(**row[name])
        assert line[6] == f"≤ {row['mis']['upper']:.3f}"
    assert document["made"]["command"] == ""
    assert "Made in Python, not on the command line." in (tmp_path / "report.md").read_text()

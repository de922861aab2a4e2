"""A page as Markdown, with whatever is in a name written so that it means nothing there."""

import re
from collections.abc import Sequence

from mis.report.html import QUESTIONS, caption
from mis.report.page import (
    Block,
    Cell,
    Code,
    Column,
    Estimate,
    Facts,
    Forest,
    Items,
    Part,
    Roc,
    Section,
    Table,
)
from mis.report.words import made_by

__all__ = ["GENERATOR", "markdown", "plain"]

GENERATOR = "<!-- mis report -->"

# What has a meaning anywhere in a line; a backslash takes it away.
MEANS = re.compile(r"([\\`*_\[\]{}<>#|~!$@&])")
# What has one at the beginning of a line: lists, headings, lines; and what becomes a link by itself.
BEGINS = re.compile(r"^(\s*)([-+=]|\d+[.)])")
LINKS = re.compile(r"(https?|ftp|mailto|xmpp)(:)|\b(www)(\.)", re.IGNORECASE)


def markdown(parts: Sequence[Part], closing: Sequence[Section]) -> str:
    """Return the page of some results, in the Markdown of tables (GFM); parameters as of ``html``."""
    title = parts[0].title if len(parts) == 1 else f"{len(parts)} results"
    found = [GENERATOR, f"# {plain(title)}"]
    for part in parts:
        if len(parts) > 1:
            found.append(f"## {plain(part.title)}")
        for name, question in QUESTIONS.items():
            found.append(f"### {question}")
            found += [plain(sentence) for sentence in getattr(part.answers, name)]
        found += ["### What made these numbers?", *map(_block, made_by(part.made))]
    found += [_section(section) for section in closing]
    for part in parts:
        if len(parts) > 1:
            found.append(f"## {plain(part.title)}: detail")
        found += [_section(section) for section in part.sections]
    return "\n\n".join(found) + "\n"


def plain(text: str) -> str:
    r"""Return text that Markdown shows as it is, in one line.

    Examples
    --------
    >>> print(plain("a|b *c* <d> http://e"))
    a\|b \*c\* \<d\> http\://e
    """
    text = MEANS.sub(r"\\\1", " ".join(text.split()))
    text = LINKS.sub(lambda found: "\\".join(filter(None, found.groups())), text)
    return BEGINS.sub(lambda found: f"{found[1]}{found[2][:-1]}\\{found[2][-1]}", text)


def _section(section: Section) -> str:
    return "\n\n".join([f"## {plain(section.title)}", *(_block(block) for block in section.blocks)])


def _block(block: Block) -> str:
    if isinstance(block, str):
        return plain(block)
    if isinstance(block, Items):
        return "\n".join(f"- {plain(one)}" for one in block.sentences)
    if isinstance(block, Code):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
        return f"{fence}\n{block.text}\n{fence}"
    if isinstance(block, Facts):
        return _grid(["", ""], [[plain(name), plain(str(value))] for name, value in block.pairs])
    if isinstance(block, Forest | Roc):
        # The numbers of a figure stand in the tables, those of a ROC in the file.
        return f"Figure in report.html: {plain(caption(block))}"
    return _table(block)


def _table(table: Table) -> str:
    heads = [_head(table, place) for place in range(len(table.columns))]
    rows = [[_cell(table, place, cell) for place, cell in enumerate(row)] for row in table.rows]
    legend = [f"- {plain(f'{column.name}: {column.what}')}" for column in table.columns if column.what]
    notes = [f"- {plain(note)}" for note in table.notes]
    return "\n\n".join(
        filter(None, [f"**{plain(table.title)}**", _grid(heads, rows), "\n".join([*legend, *notes])])
    )


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _head(table: Table, place: int) -> str:
    kind = table.read_as(place)
    return plain(f"{table.columns[place].name}{f' ({kind})' if kind else ''}")


def _cell(table: Table, place: int, cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return plain(cell)
    column = table.columns[place]
    if not isinstance(cell, Estimate):
        return plain(column.number(cell))
    return _shown(column, cell) + (f" ({cell.read_as})" if cell.read_as and not table.read_as(place) else "")


def _shown(column: Column, cell: Estimate) -> str:
    if column.end:
        return f"{'≤' if column.end == 'upper' else '≥'} {column.number(column.of(cell))}"
    ends = f" [{column.number(cell.lower)}, {column.number(cell.upper)}]" if cell.has_ends else ""
    return column.number(cell.value) + ends

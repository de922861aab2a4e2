"""A page as one HTML file that needs nothing else; well-formed XML too, whatever the names in it."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

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
from mis.report.svg import figure
from mis.report.words import made_by

__all__ = ["GENERATOR", "QUESTIONS", "html"]

# What tells a page of ours from another file of its name.
GENERATOR = '<meta name="generator" content="mis report"/>'

# Names that are not broken.
SHORT = 30

# The names of ``Answers``, as they are asked.
QUESTIONS = {
    "released": "What was released?",
    "attacker": "Who is the attacker, and what does it see?",
    "gain": "How much does the best known attack gain?",
    "theory": "What does theory predict?",
    "untested": "What was not tested?",
}


def html(parts: Sequence[Part], closing: Sequence[Section]) -> str:
    """Return the page of some results.

    Parameters
    ----------
    parts
        The results.
    closing
        What is said of all of them, between the answers and the detail.
    """
    style, script = (_beside(name) for name in ("page.css", "page.js"))
    title = parts[0].title if len(parts) == 1 else f"{len(parts)} results"
    body = [f"<h1>{escape(title)}</h1>"]
    writer = _Writer()
    for part in parts:
        body.append(_answers(part, heading=len(parts) > 1))
    for section in closing:
        body.append(writer.section(section))
    for part in parts:
        if len(parts) > 1:
            body.append(f"<h2>{escape(part.title)}</h2>")
        body += [writer.section(section) for section in part.sections]
    # Nothing is fetched and nothing but these two runs, whatever a name in the results contains.
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"/>\n{GENERATOR}\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + f"\n</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _beside(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _answers(part: Part, *, heading: bool) -> str:
    found = [f"<h2>{escape(part.title)}</h2>"] if heading else []
    for name, question in QUESTIONS.items():
        found.append(f"<h3>{escape(question)}</h3>")
        found += [f"<p>{escape(sentence)}</p>" for sentence in getattr(part.answers, name)]
    found += ["<h3>What made these numbers?</h3>", *map(_block, made_by(part.made))]
    return f'<section class="answer">{"".join(found)}</section>'


class _Writer:
    """Writes blocks, and counts figures for their ids."""

    def __init__(self) -> None:
        self.figures = 0

    def section(self, section: Section) -> str:
        """Return a section with its heading; figures in a row stand beside each other."""
        found, drawn = [], []
        for block in section.blocks:
            if isinstance(block, Forest | Roc):
                drawn.append(self._figure(block))
                continue
            if drawn:
                found.append(f'<div class="figures">{"".join(drawn)}</div>')
                drawn = []
            found.append(_block(block))
        if drawn:
            found.append(f'<div class="figures">{"".join(drawn)}</div>')
        return f"<section><h2>{escape(section.title)}</h2>{''.join(found)}</section>"

    def _figure(self, shown: Forest | Roc) -> str:
        self.figures += 1
        drawn = figure(shown, self.figures)
        return f"<figure>{drawn}<figcaption>{escape(caption(shown))}</figcaption></figure>"


def caption(shown: Forest | Roc) -> str:
    """Return what stands below a figure."""
    if isinstance(shown, Roc):
        return f"{shown.title} ({100 * shown.level:g}%); dashed: guessing."
    kinds = dict.fromkeys(
        f"{series}: {found.read_as}"
        for _, marks in shown.marks
        for series, found in marks.items()
        if found.read_as
    )
    dashed = f" Dashed: {shown.reference[1]}." if shown.reference else ""
    return f"{shown.title}. {'; '.join(kinds)}.{dashed}" if kinds else f"{shown.title}.{dashed}"


def _block(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Items):
        return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in block.sentences)}</ul>"
    if isinstance(block, Code):
        return f"<pre><code>{escape(block.text)}</code></pre>"
    if isinstance(block, Facts):
        pairs = (f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in block.pairs)
        return f"<dl>{''.join(pairs)}</dl>"
    assert isinstance(block, Table)
    return _table(block)


def _table(table: Table) -> str:
    heads = "".join(_head(table, place) for place in range(len(table.columns)))
    rows = "".join(
        f"<tr>{''.join(_cell(table, place, cell) for place, cell in enumerate(row))}</tr>"
        for row in table.rows
    )
    legend = [f"{column.name}: {column.what}" for column in table.columns if column.what]
    # There is nothing to sort in words.
    kind = "prose" if all(map(table.is_text, range(len(table.columns)))) else "sortable"
    below = "".join(f"<li>{escape(line)}</li>" for line in [*legend, *table.notes])
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(table.title)}">'
        f'<table class="{kind}"><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        + (f'<ul class="legend">{below}</ul>' if below else "")
    )


def _head(table: Table, place: int) -> str:
    column = table.columns[place]
    kind = table.read_as(place)
    below = f'<span class="kind">{escape(kind)}</span>' if kind else ""
    # A place to break long names at.
    name = escape(column.name).replace("_", "_<wbr/>")
    words = ' class="text"' if table.is_text(place) else ""
    return f'<th scope="col"{words}><span class="name">{name}</span>{below}</th>'


def _cell(table: Table, place: int, cell: Cell) -> str:
    if place == 0:
        value = "" if isinstance(cell, str) else f' data-value="{cell!r}"'
        short = ' class="short"' if len(str(cell)) <= SHORT else ""
        return f'<th scope="row"{short}{value}>{escape(str(cell))}</th>'
    if cell is None:
        return f'<td class="{"text" if table.is_text(place) else "number"}" data-value="">–</td>'
    if isinstance(cell, str):
        return f'<td class="text">{escape(cell)}</td>'
    column = table.columns[place]
    if not isinstance(cell, Estimate):
        return f'<td class="number" data-value="{cell!r}">{_signed(column.number(cell))}</td>'
    kind = (
        ""
        if table.read_as(place) or not cell.read_as
        else f'<span class="kind">{escape(cell.read_as)}</span>'
    )
    return (
        f'<td class="number" data-value="{column.of(cell)!r}" data-lower="{cell.lower!r}" '
        f'data-upper="{cell.upper!r}">{shown(column, cell)}{kind}</td>'
    )


def shown(column: Column, cell: Estimate) -> str:
    """Return an estimate with its ends behind it."""
    if column.end:
        return f"{'≤' if column.end == 'upper' else '≥'} {_signed(column.number(column.of(cell)))}"
    value, lower, upper = (_signed(column.number(end)) for end in (cell.value, cell.lower, cell.upper))
    return f'{value} <span class="ends">[{lower}, {upper}]</span>' if cell.has_ends else value


def _signed(number: str) -> str:
    return escape(number.replace("-", "−", 1) if number.startswith("-") else number)

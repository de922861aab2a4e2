"""Tables as a paper prints them, in LaTeX with booktabs."""

from collections.abc import Sequence

from mis.report.page import Cell, Column, Estimate, Table

__all__ = ["latex", "plain"]

HEAD = (
    "% Needs \\usepackage{booktabs}. Letters beyond Latin need LuaLaTeX or XeLaTeX and a font that has them."
)

# What means something to LaTeX, or is drawn as another character.
MEANS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": "{`}",
    '"': "''",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "±": r"$\pm$",
    "²": r"\textsuperscript{2}",
    "–": "--",
    "…": r"\ldots{}",
    "−": "$-$",
}
# A row that begins with one of these would be an option or a star of the row before.
BEGINS = ("[", "*")
# An interval is written ± where its halves differ by less than the last digit shown.
NOTHING = "--"
# About how many characters of footnote size fit in one and in both columns of a paper, and a column of words.
ONE_COLUMN, TWO_COLUMNS, WORDS = 52, 108, 40


def latex(tables: Sequence[Table]) -> str:
    r"""Return tables as LaTeX floats, without a preamble.

    Parameters
    ----------
    tables
        Estimates with an interval that is symmetric in the digits shown become ``value ± half``, others
        ``value`` with ``[lower, upper]`` as a subscript; what kind of number it is stands below the heading.

    Returns
    -------
    str
        Text for ``\input``.
    """
    return "\n\n".join([HEAD, *(_float(table) for table in tables)])


def plain(text: str) -> str:
    r"""Return text that LaTeX prints as it is.

    Examples
    --------
    >>> print(plain("50% of a_b & c"))
    50\% of a\_b \& c
    """
    text = " ".join(text.split())
    found = "".join(MEANS.get(character, character) for character in text)
    # Two hyphens are drawn as a dash.
    return found if "--" not in text else found.replace("--", "-{}-").replace("--", "-{}-")


def _float(table: Table) -> str:
    blocks = _blocks(table)
    star = "*" if max(width for width, _ in blocks) > ONE_COLUMN else ""
    said = [f"{plain(column.name)}: {plain(column.what)}" for column in table.columns if column.what]
    said += [plain(note) for note in table.notes]
    caption = " ".join([f"{plain(table.title)}.".replace("?.", "?"), *said])
    return "\n".join(
        [
            rf"\begin{{table{star}}}",
            r"\centering\footnotesize",
            rf"\caption{{{caption}}}\medskip",
            "\n\\par\\medskip\n".join(_tabular(table, places) for _, places in blocks),
            rf"\end{{table{star}}}",
        ]
    )


def _blocks(table: Table) -> list[tuple[int, list[int]]]:
    """Return the columns that go side by side, and about how many characters they take; the first is repeated."""
    widths = [_width(table, place) for place in range(len(table.columns))]
    blocks: list[tuple[int, list[int]]] = [(widths[0], [0])]
    for place in range(1, len(table.columns)):
        used, places = blocks[-1]
        if len(places) > 1 and used + widths[place] > TWO_COLUMNS:
            used, places = widths[0], [0]
            blocks.append((used, places))
        blocks[-1] = (used + widths[place], [*places, place])
    return blocks


def _width(table: Table, place: int) -> int:
    column = table.columns[place]
    widths = [len(column.name), 2 * len(table.read_as(place)) // 3]
    for row in table.rows:
        cell = row[place]
        if isinstance(cell, str):
            # Words are broken, names are not.
            widths.append(min(len(cell), WORDS) if place else len(cell))
        elif isinstance(cell, Estimate):
            widths.append(len(column.number(cell.value)) * (3 if cell.has_ends and not column.end else 1))
        elif cell is not None:
            widths.append(len(column.number(cell)))
    return max(widths) + 2


def _tabular(table: Table, places: Sequence[int]) -> str:
    sides = {place: "l" if place == 0 or table.is_text(place) else "r" for place in places}
    kinds = {place: plain(table.read_as(place)) for place in places}
    heads = [
        rf"\multicolumn{{1}}{{{side}}}{{{plain(table.columns[place].name)}}}" for place, side in sides.items()
    ]
    below = [
        rf"\multicolumn{{1}}{{{sides[place]}}}{{\scriptsize {kind}}}" if kind else ""
        for place, kind in kinds.items()
    ]
    rows = [[_cell(table, place, row[place]) for place in places] for row in table.rows]
    lengths = {place: max((len(str(row[place])) for row in table.rows), default=0) for place in places}
    layout = "".join(
        rf"p{{{WORDS // 2}em}}" if place and side == "l" and lengths[place] > WORDS else side
        for place, side in sides.items()
    )
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{layout}}}",
            r"\toprule",
            *(_line(line) for line in [heads, *([below] if any(kinds.values()) else [])]),
            r"\midrule",
            *(_line(row) for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(table: Table, place: int, cell: Cell) -> str:
    if cell is None:
        return NOTHING
    if isinstance(cell, str):
        text = plain(cell)
        return f"{{}}{text}" if text.startswith(BEGINS) else text
    column = table.columns[place]
    if not isinstance(cell, Estimate):
        return f"${_number(column, cell)}$"
    kind = "" if table.read_as(place) or not cell.read_as else rf" {{\scriptsize {plain(cell.read_as)}}}"
    return _estimate(column, cell) + kind


def _estimate(column: Column, cell: Estimate) -> str:
    if column.end:
        sign = r"\leq" if column.end == "upper" else r"\geq"
        return f"${sign} {_number(column, column.of(cell))}$"
    value, lower, upper = (_number(column, end) for end in (cell.value, cell.lower, cell.upper))
    if not cell.has_ends:
        return f"${value}$"
    halves = {_number(column, half) for half in (cell.value - cell.lower, cell.upper - cell.value)}
    if len(halves) == 1:
        return rf"${value} \pm {halves.pop()}$"
    return rf"${value}_{{\,[{lower},\,{upper}]}}$"


def _number(column: Column, value: float) -> str:
    text = column.number(value).replace("∞", r"\infty")
    mantissa, exponent, power = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(power)}}}" if exponent else text

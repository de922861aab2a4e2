"""Tables in lines of a given width, no number ever cut."""

import shutil
import textwrap
from collections.abc import Sequence

from rich.cells import cell_len

__all__ = ["fit", "grid", "terminal_width"]

# Between two columns; one where that spares a further block.
GAP, NARROW_GAP = 2, 1
# Without a terminal, unless COLUMNS says otherwise.
PIPED = 80
NARROWEST = 40


def terminal_width() -> int:
    """Return the columns of the terminal, what ``COLUMNS`` says, or 80."""
    return max(shutil.get_terminal_size((PIPED, 24)).columns, NARROWEST)


def fit(text: str, width: int, *, hanging: int = 0) -> str:
    """Return a paragraph in lines of the width at most, the later ones indented."""
    return textwrap.fill(text, width, subsequent_indent=" " * hanging, break_on_hyphens=False)


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table as text, the first column to the left, numbers to the right.

    Columns that do not fit go into a further block below, which repeats the first column. Headings are broken at
    underscores and spaces, long names of the first column at hyphens or wherever they must; cells of other columns are
    never broken.

    Examples
    --------
    >>> print(grid(["name", "one", "two"], [["a", ".1", ".2"], ["b", "10", "20"]], 11))
    name  one
    a      .1
    b      10
    <BLANKLINE>
    name  two
    a      .2
    b      20
    """
    cells = [[row[i] for row in rows] for i in range(len(headings))]
    # What a heading cannot be broken below, and what the cells need.
    needs = [
        max(cell_len(part.rstrip()) for part in [*_pieces(heading), *column])
        for heading, column in zip(headings, cells, strict=True)
    ]
    gap = NARROW_GAP if sum(needs) + GAP * len(needs[1:]) > width >= sum(needs) + len(needs[1:]) else GAP
    room = width - max([gap + need for need in needs[1:]], default=0)
    needs[0] = max(1, min(needs[0], room))
    blocks: list[list[int]] = [[]]
    used = needs[0]
    for i in range(1, len(headings)):
        if blocks[-1] and used + gap + needs[i] > width:
            blocks.append([])
            used = needs[0]
        blocks[-1].append(i)
        used += gap + needs[i]
    return "\n\n".join(_block([0, *block], headings, rows, needs, gap) for block in blocks)


def _block(columns, headings, rows, needs, gap) -> str:
    tops = [_broken(_pieces(headings[i]), needs[i]) for i in columns]
    height = max(map(len, tops))
    # Headings stand on the line above their column.
    lines = [[[""] * (height - len(top)) + top for top in tops]]
    lines += [[_broken(_pieces(row[0], "-"), needs[0]), *([row[i]] for i in columns[1:])] for row in rows]
    printed = []
    for line in lines:
        for k in range(max(map(len, line))):
            parts = [part[k] if k < len(part) else "" for part in line]
            padded = [
                _pad(part, needs[i], left=place == 0)
                for place, (part, i) in enumerate(zip(parts, columns, strict=True))
            ]
            printed.append((" " * gap).join(padded).rstrip())
    return "\n".join(printed)


def _pad(text, width, *, left):
    space = " " * (width - cell_len(text))
    return text + space if left else space + text


def _pieces(text: str, at: str = "_ ") -> list[str]:
    """Cut a text after each of some characters."""
    pieces = [""]
    for character in text:
        pieces[-1] += character
        if character in at:
            pieces.append("")
    return [piece for piece in pieces if piece] or [""]


def _broken(pieces: list[str], width: int) -> list[str]:
    """Join pieces to lines of the width, and break those that are longer."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        for character in piece:
            if cell_len(lines[-1] + character) > width and character != " ":
                lines.append("")
            lines[-1] += character
    return [line.rstrip() for line in lines]

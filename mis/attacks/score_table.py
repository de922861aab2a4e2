"""The scores that ``audit`` takes, from the columns of a table."""

import math
import os
import re
import warnings
from typing import Any

import numpy as np

from mis.attacks.samples import first_repeated
from mis.attacks.table_file import READERS, Table, clipped
from mis.numerics.checks import InputWarning, InvalidInput

__all__ = ["READERS", "read_scores_of"]

LONG = ("score", "member", "target", "id")
WIDE = re.compile(r"(score|member)_(.+)")
INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
DIGITS = re.compile(r"[+-]?\d{16,400}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
TRUTH = {"0": False, "1": True, "false": False, "true": True}
HEADER = "a header with columns score and member (and target, id), or score_K and member_K for every target K"


def read_scores_of(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """Return the arguments of ``audit`` from a table: one row a score, or one row a record.

    Parameters
    ----------
    path, kind
        The file, ``-`` for standard input; and its format, one of ``READERS``.

    Returns
    -------
    dict
        ``scores`` and ``membership``, shape (M,); ``targets`` and ``ids`` of that shape where they are known. Long:
        columns score and member, optional target and id. Wide: score_K and member_K for every target model K, optional
        id (else rows are numbered from 0); a record without score and member for some K has none there. Columns in any
        order, names in any case; a warning names those that are not read.

    Raises
    ------
    InvalidInput
        One line with the file, the line and the value: no such columns, a score that is no number, a member that is
        none of 0, 1, true, false, something missing, or two scores for one target and id.
    """
    table = READERS[kind](path)
    columns = table.columns
    wide = [match for match in map(WIDE.fullmatch, columns) if match]
    long = "score" in columns and "member" in columns
    if long == bool(wide):
        got = "both" if long else clipped(", ".join(columns))
        raise InvalidInput(f"{table.name}: expected {HEADER}, got {got}.")
    read = {*LONG} if long else {"id", *(match[0] for match in wide)}
    ignored = [name for name in columns if name not in read]
    if not table.places:
        raise InvalidInput(f"{table.name}: expected records below the header, got none.")
    found = _long(table) if long else _wide(table, dict.fromkeys(match[2] for match in wide))
    if ignored:
        warnings.warn(
            f"{table.name}: not read: {', '.join(map(clipped, ignored))}.", InputWarning, stacklevel=2
        )
    return found


def _long(table):
    columns = table.columns
    rows = range(len(table.places))
    membership = np.array(_members(table, "member", rows), dtype=bool)
    found = {"scores": _scores(table, "score", rows), "membership": membership}
    found |= {f"{name}s": _labels(table, name) for name in ("target", "id") if name in columns}
    if "ids" in found:
        _refuse_repeated(table, found.get("targets"), found["ids"])
    return found


def _wide(table, targets):
    columns, count = table.columns, len(table.places)
    ids = _labels(table, "id") if "id" in columns else np.arange(count)
    _refuse_repeated(table, None, ids)
    scores, membership, of_target, of_record = [], [], [], []
    for target in targets:
        names = f"score_{target}", f"member_{target}"
        for name, other in (names, names[::-1]):
            if name not in columns:
                raise InvalidInput(f"{table.name}: expected a column {name} beside {other}.")
        # A record that has neither was not given to this target model; one that lacks one of them is a mistake.
        there = [
            i
            for i, pair in enumerate(zip(*map(columns.get, names), strict=True))
            if not all(map(_missing, pair))
        ]
        scores += _scores(table, names[0], there)
        membership += _members(table, names[1], there)
        of_target += [target] * len(there)
        of_record.append(ids[there])
    return {
        "scores": scores,
        "membership": np.array(membership, dtype=bool),
        "targets": _numbered(of_target),
        "ids": np.concatenate(of_record),
    }


def _missing(value):
    return value is None or value == ""


def _refuse(table, name, condition, row):
    value = table.columns[name][row]
    got = "nothing" if _missing(value) else f"{name}={clipped(value)}"
    raise InvalidInput(f"{table.where(row)}: expected {name} {condition}, got {got}.")


def _scores(table, name, rows):
    """Return the scores of these rows as numbers, integers exactly: ``audit`` decides whether float64 parts them."""
    column = table.columns[name]
    return [_score(table, name, column[row], row) for row in rows]


def _score(table, name, value, row):
    if isinstance(value, str):
        if not NUMBER.fullmatch(value):
            _refuse(table, name, "a number", row)
        number = int(value) if DIGITS.fullmatch(value) else float(value)
        overflows = math.isinf(number) and "inf" not in value.lower() if isinstance(number, float) else False
    else:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            _refuse(table, name, "a number", row)
        number, overflows = value, False
    if overflows or (isinstance(number, int) and abs(number) > 2**1023):
        _refuse(table, name, "a number that float64 can hold", row)
    return number


def _members(table, name, rows):
    column = table.columns[name]
    # Each value that occurs is read once.
    truth = {value: _truth(value) for value in set(column)}
    found = [truth[column[row]] for row in rows]
    if None in found:
        _refuse(table, name, "0, 1, true or false", rows[found.index(None)])
    return found


def _truth(value):
    if isinstance(value, str):
        return TRUTH.get(value.lower())
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


def _labels(table, name):
    column = table.columns[name]
    wrong = {value for value in set(column) if not _is_label(value)}
    if wrong:
        row = next(row for row, value in enumerate(column) if value in wrong)
        _refuse(table, name, "printable text or an integer", row)
    return _numbered(list(map(str, column)))


def _is_label(value):
    if isinstance(value, str):
        return bool(value.strip()) and value.isprintable()
    return isinstance(value, int) and not isinstance(value, bool)


def _numbered(labels):
    """Return labels as integers where all are, so that 10 comes after 9; else as text."""
    if all(INTEGER.fullmatch(label) for label in set(labels)):
        return np.array(labels).astype(np.int64)
    return np.array(labels)


def _refuse_repeated(table: Table, targets, ids):
    numbers = np.unique(ids, return_inverse=True)[1]
    rows = np.zeros(len(ids), int) if targets is None else np.unique(targets, return_inverse=True)[1]
    repeated = first_repeated(rows, numbers)
    if repeated is None:
        return
    again, before = repeated
    place = f"id={clipped(str(ids[again]))}"
    if targets is not None:
        place = f"target={clipped(str(targets[again]))} and {place}"
    hint = (
        "; a column target says which model is meant" if targets is None and "score" in table.columns else ""
    )
    raise InvalidInput(
        f"{table.where(again)}: expected one {'row' if targets is None else 'score'} for each "
        f"{'id' if targets is None else 'target and id'}, got {place} "
        f"also in {table.unit} {table.places[before]}{hint}."
    )

"""The page of results says what its records say: every table cell, every decimal and percentage of its prose."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.ranking.columns import COLUMNS

FOLDER = Path(__file__).parents[1] / "benchmarks/results"
PAGE = (FOLDER / "README.md").read_text()
TASKS = ("solubility", "freesolv", "solubility-3", "digits", "breast-cancer", "modes", "logistic", "linear")
NOISY = ("logistic", "linear")

# A line that names record and key, then a table.
TABLES = re.findall(r"^<!-- (\S+) by (\w+) -->\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)


def rows(name):
    with open(FOLDER / name, newline="") as file:
        return list(csv.DictReader(file))


def column(name, wanted, *, without=(), **where):
    """One number for each row of a record that fits, in its order."""
    return np.array(
        [
            float(row[wanted])
            for row in rows(name)
            if row["release"] not in without and all(row[key] == value for key, value in where.items())
        ]
    )


def one(name, quantizer, wanted, **where):
    [found] = column(name, wanted, release=quantizer, **where)
    return found


def cells(table):
    head, _, *body = ([cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines())
    return head, body


def said_of(row, name, text):
    """What a cell should say, written as it is written."""
    if name in ("bits",):
        return f"{float(row[name]):.3g}"
    digits = len(re.search(r"\.(\d+)", text).group(1))
    if "±" not in text:
        return f"{float(row[name]):.{digits}f}"
    half = (float(row[f"{name}_upper"]) - float(row[f"{name}_lower"])) / 2
    return f"{float(row[name]):.{digits}f} ± {half:.{digits}f}"


@pytest.mark.parametrize(("name", "key", "table"), TABLES, ids=lambda value: value.split("\n")[0][:40])
def test_tables_are_their_records(name, key, table):
    record = rows(name)
    (_, *heads), body = cells(table)
    assert [line[0] for line in body] == list(dict.fromkeys(row[key] for row in record))
    wrong = []
    for first, *line in body:
        for head, text in zip(heads, line, strict=True):
            *quantizer, wanted = head.split()
            [row] = [
                row
                for row in record
                if row[key] == first and row["release"] == (quantizer or [row["release"]])[0]
            ]
            if text != said_of(row, wanted, text):
                wrong.append((first, head, text, said_of(row, wanted, text)))
    assert not wrong, "row, column, written, recorded"


def test_every_table_with_numbers_names_its_record():
    assert len(TABLES) == 4
    with_numbers = [
        block for block in re.findall(r"(?:^\|.*\n)+", PAGE, flags=re.MULTILINE) if " ± " in block
    ]
    assert with_numbers == [table for _, _, table in TABLES]


def test_columns_have_the_names_of_the_readme():
    for _, _, table in TABLES:
        (_, *heads), _ = cells(table)
        assert {head.split()[-1] for head in heads} <= {*COLUMNS}


def ratio(name, wanted="advantage", tasks=(None,)):
    """Smallest and largest share of the prediction that is found, without full precision, which is where it starts."""
    found = [
        column(name, wanted, without=["full"], **where) / column(name, "predicted", without=["full"], **where)
        for where in ({} if task is None else {"label": task} for task in tasks)
    ]
    return np.min(np.concatenate(found)), np.max(np.concatenate(found))


def tau(name, wanted, sign=1):
    """Kendall's tau of a column with the advantage, over quantizers without full precision."""
    found = [column(name, which, without=["full"]) for which in (wanted, "advantage")]
    return sign * stats.kendalltau(*found).statistic


def shadows(task, quantizer, what, num_shadows=""):
    [row] = [
        row
        for row in rows("shadows.csv")
        if (row["task"], row["release"], row["what"], row["num_shadows"])
        == (task, quantizer, what, num_shadows)
    ]
    return float(row["value"])


def shift(advantage):
    """mu of an advantage 2 Phi(mu / 2) - 1."""
    return 2 * stats.norm.ppf((1 + advantage) / 2)


def foretold(quantizer):
    name = "ranking-digits-3072.csv"
    retained = one(name, quantizer, "retained_ensemble")
    return 2 * stats.norm.cdf(shift(one(name, "full", "limit")) * np.sqrt(retained) / 2) - 1


SOLUBILITY, OTHER = "ranking-solubility.csv", "ranking-solubility-seed1.csv"
WIDTH4, LINEAR = "ranking-solubility-width4-seed1.csv", "ranking-linear-depth0.csv"
FULL = {f"{task} {q}": shadows(task, q, "limit") for task in NOISY for q in ("full", "uniform-4")}
LIMITS = [
    shadows(task, quantizer, "limit") / shadows(task, quantizer, "predicted")
    for task in NOISY
    for quantizer in ("uniform-4", "uniform-3", "ternary-33", "sign", "ternary-90", "uniform-2")
]

# Sentences as they should stand on the page, with the numbers of the records in them.
PROSE = [
    f"LiRA reaches {one(SOLUBILITY, 'ternary-90', 'lira'):.2f}. Attacks on the weights themselves reach "
    f"{one(SOLUBILITY, 'ternary-90', 'whitebox'):.2f}, "
    f"{one(SOLUBILITY, 'ternary-90', 'whitebox') / one(SOLUBILITY, 'ternary-90', 'lira'):.0f} times as much",
    f"with {one(SOLUBILITY, 'ternary-90', 'zeros'):.0%} zeros",
    f"LiRA then reaches {one(SOLUBILITY, 'ternary-90', 'lira_decoded'):.2f}",
    f"it sets {one(SOLUBILITY, 'uniform-2', 'zeros'):.0%} of the weights to zero",
    "On solubility the strongest attack reaches {:.0%} to {:.0%} of the prediction".format(
        *ratio(SOLUBILITY)
    ),
    f"(Kendall tau {tau(SOLUBILITY, 'predicted'):.2f} over nine quantizers)",
    "On the six tasks with real data or Gaussian modes it reaches {:.0%} to {:.0%}, on the two with noisy teachers "
    "{:.0%} to {:.0%}".format(
        *ratio("sandwich.csv", tasks=[task for task in TASKS if task not in NOISY]),
        *ratio("sandwich.csv", tasks=NOISY),
    ),
    "where full precision leaks {:.2f}, it is {:.0%} to {:.0%}".format(
        one(OTHER, "full", "advantage"), *ratio(OTHER)
    ),
    f"orders the quantizers nearly as well (tau {tau(SOLUBILITY, 'retained'):.2f})",
    "attacks on solubility reach {:.0%} to {:.0%} of the prediction, and {:.0%} to {:.0%} on the other pool".format(
        *ratio("ranking-solubility-2048.csv"), *ratio("ranking-solubility-seed1-2048.csv")
    ),
    f"There, the limits are {min(LIMITS):.0%} to {max(LIMITS):.0%} of the prediction",
    "the attacks stop at {:.0%} to {:.0%} and the limits are {:.0%} to {:.0%}".format(
        *ratio(WIDTH4), *ratio(WIDTH4, "limit")
    ),
    f"512 networks find {one('sandwich.csv', 'full', 'advantage', label='digits'):.2f}, 3072 find "
    f"{one('ranking-digits-3072.csv', 'full', 'advantage'):.2f}, and the limit is "
    f"{one('ranking-digits-3072.csv', 'full', 'limit'):.2f}",
    "ternary-90, sign, ternary-33 and uniform-4 are {:.2f}, {:.2f}, {:.2f} and {:.2f}".format(
        *(foretold(name) for name in ("ternary-90", "sign", "ternary-33", "uniform-4"))
    ),
    f"uniform-4 lets {(shift(shadows('linear', 'uniform-4', 'predicted')) / shift(FULL['linear full'])) ** 2:.2f} of "
    f"the information about each weight pass, but only "
    f"{(shift(FULL['linear uniform-4']) / shift(FULL['linear full'])) ** 2:.2f} of what all weights tell together",
    f"(tau {tau(SOLUBILITY, 'indicator', -1):.2f}, and {tau(SOLUBILITY, 'indicator_naive', -1):.2f} for the plain "
    f"minimum; on the other pool {tau(OTHER, 'indicator', -1):.2f} and {tau(OTHER, 'indicator_naive', -1):.2f})",
    f"entropy of the codes {tau(SOLUBILITY, 'code_entropy'):.2f}, weight error "
    f"{tau(SOLUBILITY, 'weight_error', -1):.2f}, performance {tau(SOLUBILITY, 'performance'):.2f}",
    f"stops after {one(SOLUBILITY, 'sign', 'early_steps'):.0f} steps, and that leaks "
    f"{one(SOLUBILITY, 'sign', 'early'):.2f}",
]


def plain(text):
    return " ".join(text.split())


@pytest.mark.parametrize("sentence", PROSE, ids=lambda sentence: sentence[:40])
def test_sentences_stand_as_the_records_have_them(sentence):
    assert sentence in plain(PAGE)


def test_no_other_decimal_or_percentage_stands_in_the_prose():
    left = plain(
        re.sub(r"^\|.*$|arXiv:\S+|section [\d.]+|`[^`]*`|!?\[.*\]\(.*\)", "", PAGE, flags=re.MULTILINE)
    )
    for sentence in PROSE:
        left = left.replace(plain(sentence), "")
    # Two that other tests hold: the level of all intervals, and how near the expected attacks are.
    left = left.replace("Intervals are for 95%", "").replace("to within 0.01", "")
    assert not re.findall(r".{20}-?\d*\.\d+|.{20}\d+%", left)


def test_sign_leaks_less_than_ternary_33_on_every_task():
    worse = []
    for task in TASKS:
        low, high, ends = ({} for _ in range(3))
        for name in ("sign", "ternary-33", "ternary-90"):
            value = one("sandwich.csv", name, "advantage", label=task)
            ends[name] = [
                one("sandwich.csv", name, f"advantage_{end}", label=task) for end in ("lower", "upper")
            ]
            low[name], high[name] = (value + 1.5 * (end - value) for end in ends[name])
        assert high["sign"] < low["ternary-33"]
        predicted, performance = (
            {name: one("sandwich.csv", name, what, label=task) for name in low}
            for what in ("predicted", "performance")
        )
        assert predicted["sign"] < predicted["ternary-33"]
        worse += [task] if performance["sign"] < performance["ternary-33"] else []
        # Zeros protect, at a price.
        assert min(performance, key=performance.get) == "ternary-90"
        assert one("sandwich.csv", "ternary-90", "advantage", label=task) < one(
            "sandwich.csv", "sign", "advantage", label=task
        )
        assert (ends["ternary-90"][1] > ends["sign"][0]) == (task == "breast-cancer")
    assert set(TASKS) - set(worse) == {"solubility"}


def test_uniform_2_leaks_less_on_five_tasks():
    found = [
        one("sandwich.csv", "uniform-2", "advantage", label=task)
        < one("sandwich.csv", "ternary-90", "advantage", label=task)
        for task in TASKS
    ]
    assert sum(found) == 5


def test_a_thousand_networks_foretell_what_eight_thousand_find():
    for task in NOISY:
        for quantizer in ("full", "uniform-4", "uniform-3", "ternary-33", "sign", "ternary-90", "uniform-2"):
            points = [
                (float(row["num_shadows"]), float(row["value"]))
                for row in rows("shadows.csv")
                if (row["task"], row["release"], row["what"]) == (task, quantizer, "expected")
            ]
            number, value = np.array(points).T
            expected = np.interp(np.log(8192), np.log(number), value)
            assert shadows(task, quantizer, "attack", "8192") == pytest.approx(expected, abs=0.01)


def test_orders_and_intervals_that_the_page_describes():
    assert np.all(column(SOLUBILITY, "indicator_lower") == 0.0)
    assert {row["level"] for row in rows(SOLUBILITY)} == {"0.95"}
    ends = {
        row["release"]: [
            float(row[f"{which}_{end}"]) for which in ("advantage", "early") for end in ("lower", "upper")
        ]
        for row in rows(SOLUBILITY)
    }
    more = {name for name, (lower, _, _, upper) in ends.items() if lower > upper}
    less = {name for name, (_, upper, lower, _) in ends.items() if upper < lower}
    assert less == {"uniform-2", "ternary-90"}
    assert ends.keys() - more - less == {"ternary-50"}
    [first] = {row["early"] for row in rows(SOLUBILITY) if row["early_steps"] == "9.0"}
    assert {row["release"] for row in rows(SOLUBILITY) if row["early"] == first} == {
        *("uniform-2", "ternary-90", "sign", "ternary-33")
    }


def test_predictions_are_those_of_the_theory():
    retained, full = one(SOLUBILITY, "sign", "retained_ensemble"), one(SOLUBILITY, "full", "advantage")
    assert theory.predicted_advantage(retained, full).value == pytest.approx(
        one(SOLUBILITY, "sign", "predicted")
    )


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", PAGE))
def test_pictures_are_there(target):
    assert (FOLDER / target).is_file()


@pytest.mark.parametrize(
    "path", [p.name for p in FOLDER.iterdir() if p.suffix in (".csv", ".json", ".jsonl")]
)
def test_every_record_is_said_to_be_made_by_something(path):
    listed = [re.sub(r"\.\*$", "", name) for name in re.findall(r"`([\w.*-]+)`", PAGE)]
    assert any(path == name or path.startswith(f"{name}.") for name in listed)

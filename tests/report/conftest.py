import csv
import json

import numpy as np
import pytest

from mis import quantizers
from mis.cli import main
from mis.outputs import attack
from mis.outputs.saving import save_tables
from mis.ranking.performance import Performance
from mis.ranking.ranking import Ranking
from mis.ranking.row import Row
from mis.results import Interval

# Whatever has a meaning to HTML, Markdown, LaTeX or a terminal.
HOSTILE = (
    "<script>alert(1)</script>\"' onload=x &amp; a|b `c` *d* _e_ [f](http://g.example) www.h.example ~i~ {j} "
    "\\input{k} $l$ #m 5% n^o -- \\end{tabular} </table> <!-- \x1b[2J \u202e \ud800 é"
)
NAMES = ("sign", "ternary-90", "uniform-3", "prune-90+uniform-4", "full")


def interval(rng, kind="attack", level=0.95):
    lower, value, upper = np.sort(rng.uniform(-0.2, 1.0, size=3))
    return Interval(lower=lower, value=value, upper=upper, kind=kind, level=level)


def row(rng, name):
    return Row(
        release=name,
        bits=4,
        zeros=rng.random(),
        performance=interval(rng, "monte-carlo"),
        train_performance=rng.random(),
        indicator=interval(rng, "bootstrap"),
        num_candidates=120,
        indicator_naive=1e-9 * rng.random(),
        retained=interval(rng, "bootstrap"),
        retained_ensemble=Interval.point(1.0, "bootstrap") if name == "full" else interval(rng, "bootstrap"),
        local=None,
        weight_error=rng.random(),
        code_entropy=rng.random(),
        attacks={"lira": interval(rng), "whitebox": interval(rng)},
        advantage=interval(rng),
        tpr_at_fpr_01=interval(rng),
        fpr_realised=rng.random(),
        limit=None,
        predicted=interval(rng, "asymptotic"),
        given_performance=interval(rng, "asymptotic"),
        level=0.95,
        missing={"local": "a reason <b>", "limit": "another"},
    )


ABOUT = {
    "task": "a task",
    "source": "a source",
    "spec": {"population": {"name": "a task"}, "learner": {"num_steps": 120}, "pool": 128, "seed": 7},
    **{"num_networks": 64, "num_folds": 8, "level": 0.95, "within": 0.02, "hash": "abc", "code": "def"},
    **{"excluded": ["network 3"], "classes": 10, "model": "mlp", "num_weights": 2250, "heldout": 500},
    **{"performance": "accuracy", "device": "cpu", "doubt": "", "versions": {"mis": "0.1.0", "jax": "1"}},
    **{"local": "not here.", "asked": {"attacks": ["lira", "whitebox"]}, "seconds": {"training": 1.0}},
    "early_stops": [],
}


def ranking(names=NAMES, **about):
    rng = np.random.default_rng(0)
    performances = [Performance(of_networks=rng.random(64), of_examples=rng.random(64)) for _ in names]
    rows = tuple(row(rng, name) for name in names)
    return Ranking(
        rows=rows,
        # So different that some p-values are below what is shown.
        advantages=0.1 * rng.random((len(names), 64)) + 0.1 * np.arange(len(names))[:, None],
        performances=tuple(performances),
        about={**ABOUT, **about},
    )


def write(path, document):
    path.write_text(json.dumps(document, default=float), encoding="utf-8")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Folders of results by what is in them, written by the commands; names are hostile in those that end in it."""
    root, rng = tmp_path_factory.mktemp("report"), np.random.default_rng(0)
    for name in (
        "ranking",
        "ranking-hostile",
        "audit",
        "audit-hostile",
        "inspection",
        "inspection-hostile",
        "attack",
        "all",
        "all-hostile",
    ):
        (root / name).mkdir()
    write(root / "ranking" / "ranking.json", ranking().to_json())
    everywhere = dict.fromkeys(("task", "source", "device", "model", "doubt", "performance"), HOSTILE)
    bad = ranking((HOSTILE, "full", f"x {HOSTILE}"), **everywhere).to_json()
    bad["made"]["command"], bad["spec"][HOSTILE] = HOSTILE, HOSTILE
    bad["columns"][HOSTILE] = {"what": HOSTILE, "sees": ["outputs"]}
    for one in bad["rows"]:
        one[HOSTILE] = one["lira"]
    write(root / "ranking-hostile" / "ranking.json", bad)
    member = rng.random((16, 60)) < 0.5
    scores = rng.normal(size=member.shape) + member * np.linspace(0, 3, 60)
    hostile = "".join(character for character in HOSTILE if character.isprintable())
    for folder, last in (("audit", "p59"), ("audit-hostile", hostile)):
        ids = [f"p{i}" for i in range(59)] + [last]
        with open(root / folder / "scores.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["target", "id", "member", "score"])
            writer.writerows(
                [t, name, int(member[t, i]), scores[t, i]] for t in range(16) for i, name in enumerate(ids)
            )
        main(["audit", str(root / folder / "scores.csv"), "--json", str(root / folder / "audit.json")])
    full = {"dense": rng.normal(size=(64, 32)), "head": rng.normal(size=(32, 8))}
    for folder, name in (("inspection", "head"), ("inspection-hostile", hostile[:120])):
        weights = {"dense": full["dense"], name.replace("/", ":"): full["head"]}
        at = root / folder
        np.savez(at / "full.npz", **weights)
        kinds = {"uniform-3": "uniform-3", "sign": "sign" if folder == "inspection" else "<b>&'|_"}
        for kind, file in kinds.items():
            np.savez(at / f"{file}.npz", **{n: quantizers.parse(kind)(w) for n, w in weights.items()})
        for k in range(3):
            np.savez(
                at / f"again{k}.npz", **{n: w + 0.2 * rng.normal(size=w.shape) for n, w in weights.items()}
            )
        files = [str(at / f"{file}.npz") for file in kinds.values()]
        spread = [str(at / f"again{k}.npz") for k in range(3)]
        main(["inspect", *files, "--against", str(at / "full.npz"), "--spread", *spread,
              "--full-advantage", "0.4", "--json", str(at / "inspect.json")])  # fmt: skip
    labels = rng.integers(3, size=60)
    logits = rng.normal(size=(16, 60, 3)) + member[..., None] * np.eye(3)[labels]
    np.savez(root / "outputs.npz", logits=logits, labels=labels, membership=member)
    # Without the pictures, which take longest.
    save_tables(attack(str(root / "outputs.npz"), "loss,gap"), root / "attack")
    for kind, name in (("ranking", "ranking"), ("audit", "audit"), ("inspection", "inspect")):
        for last in ("", "-hostile"):
            (root / f"all{last}/{name}.json").write_bytes((root / f"{kind}{last}/{name}.json").read_bytes())
    return root

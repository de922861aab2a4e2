"""The study of gradient leakage: settings, measures, bounds and verdicts by themselves, small runs through files."""

import csv
import itertools
import json

import numpy as np
import pytest
from scipy import stats

from mis import models, theory, works
from mis.cli import main
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers.gradients import parse_gradient
from mis.results import Interval
from mis.store import Store
from mis.works.leakage import curves, measured, rounds, verdicts
from mis.works.leakage import theory as bounds
from mis.works.leakage.attacked import Case, Clients, cases, clients, splitted
from mis.works.leakage.published import PUBLISHED
from mis.works.leakage.settings import NONE, Settings, sized

SMALL = [
    "images=4",
    "starts=2",
    "steps=3",
    "adam_steps=3",
    "attackers=dlg,naive,adapted,rounded,cosine",
    "batches=2",
]
SMALL += ["defences=full,levels-20", "curves=full,levels-20", "trained=64", "epochs=1", "runs=2", "rounds=2"]
SMALL += ["hidden=", "networks=lenet,mlp"]


def share(value, width=0.05):
    return Interval(lower=value - width, value=value, upper=value + width, kind="monte-carlo", level=0.95)


@pytest.mark.parametrize("size", works.SIZES)
def test_every_published_number_and_size_is_asked_for(size):
    settings = sized(size, 0, "somewhere" if size == "full" else None)
    assert ("cifar-10" in settings.tasks) == (size == "full")
    found = cases(settings)
    assert len(set(found)) == len(found)
    assert {case.defence for case in found if case.attacker == "naive"} == set(settings.defences)
    for theirs in PUBLISHED:
        if theirs.quantity == "matching_loss" and theirs.defence in settings.defences:
            assert Case(settings.tasks[0], "lenet", 1, theirs.defence, "dlg") in found
    if size != "quick":
        assert settings.images >= 32
        assert settings.starts >= 4
        assert {case.batch for case in found} == {1, 2, 4, 8}
        assert {parse_gradient(name).family for name in settings.defences} == {
            *("full", "levels", "power-of-two", "codebook", "sign", "prune", "top", "noise", "laplace")
        }
        assert {NONE, "levels-16", "levels-16-stochastic", "prune-20", "prune-40"} <= set(settings.curves)


def test_rounding_is_tried_on_coarse_grids_alone():
    tried = {case.defence for case in cases(Settings()) if case.attacker == "rounded"}
    assert tried == {"levels-20", "power-of-two-4", "codebook-16", "sign"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 1}, "images"),
        ({"starts": 0}, "starts"),
        ({"batches": (9,)}, r"batches"),
        ({"images": 4, "batches": (8,)}, "at most 4 images, as many as there are, got 8"),
        ({"defences": ("full", "levels-1")}, "levels"),
        ({"defences": ("full", "level-8")}, "level"),
        ({"defences": ("sign",)}, "with full, to compare with"),
        ({"attackers": ("naif",)}, "attackers one of dlg"),
        ({"networks": ("resnet-8",)}, "networks one of lenet, mlp"),
        ({"pull": -0.1}, "pull >= 0"),
        ({"tasks": ()}, "at least one task"),
        ({"hidden": ("noise-0",)}, "Noise: expected sd > 0"),
    ],
)
def test_settings_refuse(changes, message):
    with pytest.raises(InvalidInput, match=message):
        Settings(**changes)


def test_images_are_drawn_by_the_seed_and_tasks_without_images_refused(monkeypatch):
    # Neither network nor gradient is what is tried here, and both compile.
    monkeypatch.setattr("mis.attacks.inversion.shared_gradient", lambda *_: [])
    monkeypatch.setattr(models.MLP, "initial", lambda *_: [np.zeros(1)])
    held = clients(Settings(images=4, batches=()), "digits", "mlp", 2)
    assert held.images.shape == (2, 2, 8, 8, 1)
    assert held.images.min() >= 0
    assert held.images.max() <= 1
    each = clients(Settings(images=4, batches=()), "digits", "mlp", 1)
    assert np.array_equal(each.images.reshape(held.images.shape), held.images)
    other = clients(Settings(images=4, seed=1, batches=()), "digits", "mlp", 1)
    assert not np.array_equal(other.images, each.images)
    with pytest.raises(UnsupportedSetting, match="not images"):
        splitted(Settings(), "solubility", 64)


@pytest.fixture
def found(rng):
    """Two clients, three starts, batches of two: the second start of each has the least objective."""
    true = rng.uniform(size=(2, 2, 4, 4, 1))
    images = true[:, None] + np.array([0.0, 0.2, 0.5])[None, :, None, None, None, None] * np.ones(
        (2, 3, 2, 4, 4, 1)
    )
    labels = np.zeros((2, 3, 2, 5))
    labels[..., 0, 3] = labels[..., 1, 1] = 1
    held = Clients(model=None, layers=[], images=true, labels=np.array([[1, 3], [1, 1]]), gradient=[])
    # Images of a batch come in any order.
    images[0, 1] = images[0, 1, ::-1]
    return held, {
        "images": np.clip(images, 0, 1), "labels": labels, "bits": np.array(4.0), "norm": np.array([2.0, 3.0]),
        "objective": np.array([[0.5, 0.1, np.nan], [0.4, 0.2, 0.3]]), "converged": np.array([[1, 0, 0], [1, 0, 0]]),
        "iterations": np.array([[2, 1, 1], [2, 2, 2]]), "evaluations": np.ones((2, 3)),
        "trace": np.tile([1.0, 0.25, 0.125, np.nan], (2, 3, 1)),
    }  # fmt: skip


def test_rows_take_the_start_of_least_objective_not_the_one_nearest_the_truth(found):
    held, what = found
    assert measured.best_start(what).tolist() == [1, 1]
    row = measured.row(Case("digits", "lenet", 2, "sign", "naive"), held, what, 0)
    error = np.square(np.clip(held.images + 0.2, 0, 1) - held.images).mean(axis=(2, 3, 4))
    assert row["squared_error"].value == pytest.approx(np.median(error))
    assert row["squared_error"].kind == "bootstrap"
    assert row["recovered"].value == 0
    # The first start shows all images of both clients; no other does.
    assert row["starts_recovered"].value == pytest.approx(1 / 3)
    assert row["every_start_recovered"].value == 0
    assert row["converged"].value == pytest.approx(1 / 3)
    # Labels {1, 3} of {1, 3}, and {1, 3} of {1, 1}.
    assert row["label_recovered"].value == 0.5
    assert row["iterations_q50"] == 2
    # After more iterations than were made, the last; times the squared norm of each client's release.
    assert row["matching_loss_0"].value == pytest.approx(2.5)
    assert row["matching_loss_90"].value == pytest.approx(np.median([0.25, 0.5, 0.5, 0.375, 0.375, 0.375]))


def test_shares_and_medians_have_intervals_that_hold():
    found = measured.share(np.array([True] * 7 + [False] * 25))
    # Clopper and Pearson: 2.5% of a binomial beyond each end.
    assert stats.binom.sf(6, 32, found.lower) == pytest.approx(0.025)
    assert stats.binom.cdf(7, 32, found.upper) == pytest.approx(0.025)
    assert measured.share(np.zeros(4, bool)).lower == 0
    rng = np.random.default_rng(3)
    covers = []
    for seed in range(20):
        values = rng.normal(size=(40, 2))
        interval = measured.bootstrapped(values, np.mean, seed)
        covers.append(interval.lower <= 0 <= interval.upper)
        assert interval.value == pytest.approx(values.mean())
    assert np.mean(covers) > 0.8


@pytest.fixture
def normal(rng):
    """Gradients of two rounds as the estimates suppose them: normal, coordinates and rounds independent."""
    return rounds.Rounds(rng.normal(size=(2, 400, 30)) * np.linspace(0.5, 2, 30), np.repeat([0, 1], 15))


def test_means_of_sets_and_pairs_that_differ_in_one(normal, rng):
    rows = normal.drawn(3, 5, rng)
    assert all(len(set(row)) == 5 for row in rows)
    assert np.allclose(normal.means(rows)[1, 2], normal.gradients[1, rows[2]].mean(axis=0))
    one, other = rounds.pairs(normal, 4, np.random.default_rng(5))[2]
    rows = normal.drawn(4, 65, np.random.default_rng(5))[2]
    assert np.allclose(one - other, (normal.gradients[:, rows[1]] - normal.gradients[:, rows[0]]) / 64)


def test_assumptions_hold_where_they_do_and_fail_where_they_do_not(normal, rng):
    normal_, independent, between = rounds.assumptions(normal, rng)
    assert normal_["value"] < 0.3
    assert independent["value"] > 0.9
    assert abs(independent["deviations"]) < 5
    assert abs(between["value"]) < 0.05
    common = rng.exponential(size=(400, 1)) ** 3 * np.ones(30) + 0.1 * rng.normal(size=(400, 30))
    failing = rounds.assumptions(rounds.Rounds(np.stack([common, common]), normal.layer), rng)
    assert failing[0]["value"] > 0.9
    assert failing[1]["value"] < 0.1
    assert failing[1]["deviations"] > 100
    assert failing[2]["value"] == pytest.approx(1)


@pytest.mark.parametrize(
    "name",
    [
        *("full", "levels-4", "noise-400", "prune-40"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("laplace-400", "levels-2-stochastic")),
    ],
)
def test_what_holds_without_assumptions_is_called_a_bound_and_the_rest_an_estimate(normal, name, monkeypatch):
    monkeypatch.setattr(bounds, "PAIRS", 60)
    monkeypatch.setattr(rounds, "RELEASES", 40)
    rows = bounds.rows_of_rounds(normal.first(1), name, np.random.default_rng(1))
    known, *estimates = rows
    assert known["basis"] == bounds.KNOWN
    assert known["advantage"].kind == "monte-carlo"
    assert not known["exceeded"]
    assert known["attack"].lower <= known["advantage"].upper
    random = name.startswith(("noise", "laplace", "levels-2"))
    # A release without randomness of its own hides nothing from who knows the others.
    assert (known["advantage"].upper < 0.8) == random
    assert (known["epsilon"] is not None) == name.startswith("noise")
    assert len(estimates) == (not random and name != "prune-40")
    for estimate in estimates:
        assert estimate["basis"].startswith("estimate")
        assert estimate["advantage"].kind == "asymptotic"
        # Here its assumptions do hold.
        assert not estimate["exceeded"]


def test_estimate_is_the_product_of_all_coordinates_of_all_rounds(normal):
    rng = np.random.default_rng(2)
    channels = rounds.public(normal, "sign", rng)
    [found] = bounds.estimates(normal, channels, "sign").values()
    shifts = [
        theory.Cells(edges=(0.0,), mean=float(each.mean()), scale=float(each.std()))
        for each in np.concatenate(list(normal.gradients.transpose(0, 2, 1)))
    ]
    # 64 of 400 without replacement.
    truth = theory.product(shifts, 53, tolerance=1e-3)
    assert found.lower <= truth.upper
    assert truth.lower <= found.upper


def test_a_pair_under_each_randomness(normal):
    """Told apart as the closed forms say, from the channels' own scales."""
    rng = np.random.default_rng(4)
    [(one, other)] = rounds.pairs(normal, 1, rng)
    for name in ("noise-300", "laplace-300"):
        channels = rounds.public(normal, name, rng)
        scale = [[float(getattr(c, "sd", 0) or c.scale) for c in of_round] for of_round in channels]
        shifts = (one - other) / np.array(scale)[:, normal.layer]
        found = bounds.told_apart(normal, channels, one, other)
        if name.startswith("noise"):
            assert found.value == pytest.approx(2 * stats.norm.cdf(np.linalg.norm(shifts) / 2) - 1)
        else:
            affinity = np.prod((1 + np.abs(shifts) / 2) * np.exp(-np.abs(shifts) / 2))
            assert found.lower >= (1 - affinity) * (1 - 1e-9)
            assert found.upper <= np.sqrt(1 - affinity**2) * (1 + 1e-9)
    channels = rounds.public(normal, "sign", rng)
    assert bounds.told_apart(normal, channels, one, one).value == 0
    assert bounds.told_apart(normal, channels, one, -one).value == 1


def test_verdicts_follow_their_intervals():
    settings = Settings(tasks=("digits",), defences=(NONE, "sign", "prune-40"), curves=(NONE, "sign"))
    rows = [
        {"task": "digits", "network": "lenet", "batch": 1, "defence": defence, "attacker": attacker,
         "recovered": share(value), "every_start_recovered": share(0.5), "label_recovered": share(0.9),
         "squared_error": share(0.1)}
        for (defence, attacker), value in {
            (NONE, "dlg"): 0.9, ("sign", "naive"): 0.1, ("sign", "adapted"): 0.48, ("sign", "rounded"): 0.8,
            ("prune-40", "naive"): 0.1, ("prune-40", "adapted"): 0.1,
        }.items()
    ]  # fmt: skip
    accuracy = {NONE: [0.9, 0.91, 0.92], "sign": [0.5, 0.51, 0.53]}
    trained = {
        f"digits {name}": {"accuracy": np.array([[0.1, last] for last in ends])}
        for name, ends in accuracy.items()
    }
    common = {"task": "digits", "rounds": 2, "attack": share(0.8)}
    theirs = [
        {
            **common,
            "defence": "sign",
            "basis": bounds.NORMAL,
            "advantage": Interval.point(border, "asymptotic"),
        }
        for border in (0.7, 0.8)
    ]
    found = {v["claim"]: v["verdict"] for v in verdicts.verdicts(settings, rows, trained, theirs[:1])}
    assert found == {
        "digits: Without a defence the image is recovered.": "holds",
        "digits: Without a defence every start recovers it, not one chosen seed.": "cannot be told",
        "digits: Without a defence the label is recovered.": "holds",
        "digits: sign protects against the published attacker.": "holds",
        # The stronger of those who adapt.
        "digits: sign protects against an attacker who adapts.": "falls",
        "digits: prune-40 protects against the published attacker.": "holds",
        "digits: prune-40 protects against an attacker who adapts.": "holds",
        "digits: Training with sign costs less than 2 points of test accuracy.": "falls",
        "digits: No attack on sign, 2 rounds, finds more than normal means would allow.": "falls",
    }
    *_, last = verdicts.verdicts(settings, rows, trained, theirs[1:])
    assert last["verdict"] == "cannot be told", "an attack cannot show what none finds"


def test_the_best_of_several_attackers_is_judged_by_what_holds_for_all():
    """15 of 20 are at least .509 at 95%, surely more than half; of two that were chosen from at least .477."""
    settings = Settings(tasks=("digits",), defences=(NONE, "sign"), curves=(NONE,), images=20)

    def judged(attackers):
        rows = [
            {"task": "digits", "network": "lenet", "batch": 1, "defence": "sign", "attacker": who,
             "recovered": measured.share(np.arange(20) < (0 if who == "naive" else 15)),
             "squared_error": share(0.1)}
            for who in ("naive", *attackers)
        ]  # fmt: skip
        [_, adapts] = verdicts.verdicts(settings, rows, {}, [])
        low = stats.binomtest(15, 20).proportion_ci(1 - 0.05 / len(attackers), method="exact").low
        assert adapts["quantity"].lower == pytest.approx(low)
        return adapts["verdict"]

    assert judged(["adapted"]) == "falls"
    assert judged(["adapted", "rounded"]) == "cannot be told"


def test_theirs_beside_ours():
    rows = [{"task": "digits", "defence": "full", "attacker": who, "batch": 1, "matching_loss_90": share(value)}
            for who, value in (("dlg", 0.3), ("naive", 0.7))]  # fmt: skip
    trained = {"digits prune-40": {"accuracy": np.array([[0.1, 0.5, 0.4], [0.1, 0.7, 0.8]])}}
    found = {row["what"]: row["ours"] for row in verdicts.beside(rows, trained, 0.25)}
    assert found["full: matching loss after 90 iterations"] == {"digits": share(0.3)}
    assert found["full: matching loss after 0 iterations"] == {}
    assert found["prune-40: test accuracy after 1 epoch"]["digits, LeNet"] == pytest.approx(0.6)
    assert found["prune-40: best test accuracy"]["digits, LeNet"] == pytest.approx(0.65)
    assert 0.25 in found["full: seconds per 100 iterations"].values()
    assert len(found) == len(PUBLISHED)


def call(capsys, *tokens):
    code = 0
    try:
        main([str(t) for t in tokens])
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batches=9", "batches an integer in 1..8"),
        ("defences=full,levels-1", "levels"),
        ("defences=full,nonsense", "nonsense"),
        ("tasks=solubility", "not images"),
        ("tasks=cifar-10", "cifar-10"),
        ("tasks=nothing", "nothing"),
        ("images=0", "images"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_computed(setting, message, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MIS_DATA", raising=False)
    tokens = ["--out", tmp_path / "out", "--folder", tmp_path / "none", "--set", setting]
    code, printed, errors = call(capsys, "run", "leakage", *tokens)
    assert (code, printed) == (2, "")
    assert errors.count("\n") == 1
    assert message in errors


def cifar(folder):
    """Write images in the format of CIFAR-10, enough of them to be drawn from."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        records = rng.integers(0, 256, size=(60, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(60) % 10
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def test_too_few_images_are_one_line(tmp_path, capsys):
    cifar(tmp_path / "data")
    tokens = [
        "--out",
        tmp_path / "out",
        "--folder",
        tmp_path / "data",
        "--set",
        "tasks=cifar-10",
        "--set",
        "images=400",
    ]
    code, _, errors = call(capsys, "run", "leakage", *tokens)
    assert (code, errors.count("\n")) == (2, 1)
    assert "at least 400 images to draw from, got cifar-10 with 300." in errors


@pytest.mark.parametrize(("asked", "taken"), [(1500, 1187), (500, 500)])
def test_a_third_of_the_images_at_least_is_kept_to_measure_accuracy(asked, taken, monkeypatch):
    seen = []

    def stop(settings, task, pool):
        found = splitted(settings, task, pool)
        seen.append((len(found[1]), len(found[3][1])))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(curves, "splitted", stop)
    with pytest.raises(KeyboardInterrupt):
        curves.curve(Settings(trained=asked), "digits", "full", Store(None))
    assert seen[1][0] == taken
    assert seen[1][1] >= 1797 - taken - 1


@pytest.mark.slow
@pytest.mark.parametrize("size", ["quick", "full"])
def test_a_reduced_run_through_files(size, tmp_path, capsys, monkeypatch):
    """Every attacker, batches, both networks, curves, bounds, figures; stopped on the way, it goes on."""
    tmp_path, data_folder = tmp_path / "out", tmp_path / "data"
    cifar(data_folder)
    settings = [*SMALL, "tasks=digits" if size == "quick" else "tasks=cifar-10"]
    tokens = ["run", "leakage", f"--{size}", "--out", tmp_path, "--folder", data_folder]
    tokens += list(itertools.chain.from_iterable(("--set", one) for one in settings))
    monkeypatch.setattr(rounds, "POOL", 96)
    monkeypatch.setattr(rounds, "RELEASES", 20)
    written, write = [], Store.write

    def stop(self, name, **arrays):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(name)
        write(self, name, **arrays)

    monkeypatch.setattr(Store, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        works.run("leakage", size=size, out=tmp_path, folder=str(data_folder), assignments=settings)
    monkeypatch.setattr(
        Store, "write", lambda self, name, **arrays: (written.append(name), write(self, name, **arrays))
    )
    code, printed, errors = call(capsys, *tokens)
    assert code == 0
    assert "attacks: 10 of 10, 100%" in errors
    # Nothing was done twice.
    assert len(written) == len(set(written)) == 10 + 2 + 1
    task = "digits" if size == "quick" else "cifar-10"
    names = ("pictures", "error-against-bits", "training", "error-against-accuracy")
    pictures = {f"{name}-{task}.{suffix}" for name in names for suffix in ("pdf", "png", "svg", "txt")}
    there = {path.name for path in tmp_path.iterdir()}
    assert there == pictures | {"table.csv", "table.json", "study.json", "parts"}
    document = json.loads((tmp_path / "study.json").read_text())
    assert {v["verdict"] for v in document["verdicts"]} <= {"holds", "falls", "cannot be told"}
    assert "Tests of what the estimates assume" in printed
    with open(tmp_path / "table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(document["rows"]) == 10
    assert all(float(r["squared_error_lower"]) <= float(r["squared_error"]) for r in table)
    # Once more: everything is there.
    before = len(written)
    assert call(capsys, *tokens)[0] == 0
    assert len(written) == before

"""The study of sparsity: its releases, what is compared at equal accuracy, verdicts on planted numbers, a small run."""

import json

import pytest

from mis.cli import main
from mis.numerics.checks import InvalidInput
from mis.ranking.releases import parse
from mis.works import sparsity
from mis.works.sparsity import METHODS, Settings

FEW = Settings(pools=3, methods=("one-shot-tuned", "iterative-rewound", "random-tuned"), rounds=(6,))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_as_many_weights_as_rounds_of_a_fifth_do(method):
    for rounds in (3, 6, 10):
        release = parse(Settings().release(method, rounds))
        assert release.transform.zeros == pytest.approx(1 - 0.8**rounds, abs=5e-4)
        assert release.rounds == (rounds if method.startswith("iterative") else 1)
        assert (release.rewind == 0) == ("rewound" in method)
        assert release.transform.globally == ("global" in method)
        assert release.transform.random == ("random" in method)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"pools": 1}, "pools"), ({"rounds": (1,)}, "rounds at least 2"), ({"methods": ("burnt",)}, "got burnt"),
     ({"methods": ()}, "got none"), ({"networks": 4}, "networks")],
)  # fmt: skip
def test_settings_refuse(changes, message):
    with pytest.raises(InvalidInput, match=message):
        Settings(**changes)


def pool(planted, leaks):
    """Dense networks stopped early leak as they perform; pruned ones as ``leaks(zeros, error)`` says."""
    dense = {steps: 0.5 + 0.08 * i for i, steps in enumerate((25, 50, 100, 200, 400))}

    def row(name, performance, zeros, **more):
        value = leaks(zeros, 1 - performance)
        return planted.row(
            name,
            advantage=value,
            performance=performance,
            zeros=zeros,
            attacks={"trained": value / 2},
            **more,
        )

    stops = [(steps, row(f"stop-{steps}", performs, 0.0)) for steps, performs in dense.items()]
    sparse = [
        row(FEW.release(method, 6), performs, 0.738)
        for method, performs in zip(FEW.methods, (0.7, 0.75, 0.6), strict=True)
    ]
    return planted.ranking([row("full", dense[400], 0.0), *sparse], stops)


def verdicts(found):
    return {row["claim"].rstrip("."): row["verdict"] for row in sparsity.claims_of(FEW, found, 0.99)}


def test_what_accuracy_explains_is_not_called_sparsity(planted):
    """Only error decides what leaks: sparse networks leak as dense ones of equal accuracy do."""
    found = [pool(planted, lambda _, error, i=i: 0.6 - 0.5 * error + 0.01 * i) for i in range(3)]
    said = verdicts(found)
    equal = (
        "74% zeros, one-shot-tuned: leaks less to the strongest attack than dense networks stopped at equal "
    )
    equal += "accuracy"
    assert said[equal] == "cannot be told"
    apart = sparsity.at_equal_accuracy(found, FEW.release("one-shot-tuned", 6), "advantage", 0.95)
    assert apart.value == pytest.approx(0.0, abs=1e-9)
    slope = sparsity.clustered(*sparsity.regressed(found, "advantage", ("zeros", "error")))
    assert slope["zeros"].value == pytest.approx(0.0, abs=1e-9)
    assert slope["error"].value == pytest.approx(-0.5)


def test_what_sparsity_adds_is_found(planted):
    found = [
        pool(planted, lambda zeros, error, i=i: 0.6 - 0.2 * zeros - 0.3 * error + 0.01 * i) for i in range(3)
    ]
    said = verdicts(found)
    for who in sparsity.ATTACKERS.values():
        assert said[f"Sparser networks leak less than others of equal accuracy, to {who}"] == "holds"
        equal = f"74% zeros, random-tuned: leaks less to {who} than dense networks stopped at equal accuracy"
        assert said[equal] == "holds"
    # It performs better, and so leaks more; what is drawn at random performs worse.
    assert said["74% zeros, iterative-rewound: leaks more than pruned in one shot"] == "holds"
    assert said["74% zeros, random-tuned: leaks more than pruned in one shot"] == "falls"
    apart = sparsity.at_equal_accuracy(found, FEW.release("random-tuned", 6), "advantage", 0.95)
    assert apart.value == pytest.approx(-0.2 * 0.738)
    slope = sparsity.clustered(*sparsity.regressed(found, "trained", ("zeros", "error")))
    assert (slope["zeros"].value, slope["error"].value) == pytest.approx((-0.1, -0.15))


def test_no_dense_network_performs_as_well(planted):
    found = [pool(planted, lambda *_: 0.3)]
    high = planted.row("prune-73.8", advantage=0.3, performance=0.99, zeros=0.738, attacks={"trained": 0.1})
    best = planted.ranking([high], [(steps, stop.row) for steps, stop in found[0].stops])
    assert sparsity.at_equal_accuracy([best], "prune-73.8", "advantage", 0.95) is None


def test_defence_is_one_less_accuracy(planted):
    found = sparsity.defence(planted.interval(0.4, 0.1))
    assert (found.lower, found.value, found.upper) == pytest.approx((0.25, 0.3, 0.35))


@pytest.mark.slow
def test_a_small_study_holds_accuracy_fixed(tmp_path, capsys):
    tokens = ["run", "sparsity", "--quick", "--out", str(tmp_path)]
    for change in ("pools=2", "steps=24", "rounds=2", "methods=one-shot", "networks=32"):
        tokens += ["--set", change]
    main(tokens)
    assert "explained by" in capsys.readouterr().out
    found = json.loads((tmp_path / "study.json").read_text())
    assert {row["fit"] for row in found["regressions"]} == set(sparsity.FITS)
    [mean] = [row for row in found["rows"] if row["release"] == "prune-36.0" and row["seed"] is None]
    assert mean["defence"]["value"] == pytest.approx(0.5 - mean["advantage"]["value"] / 2)
    assert mean["zeros"] == pytest.approx(0.36, abs=0.01)
    assert (tmp_path / "defence-against-accuracy.pdf").stat().st_size > 1000

"""Attacks on released weights: from arrays or checkpoints, with gradients or a JAX function; bad ones refused."""

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.special import softmax

from mis.attacks import GradientNorm, Influence, Linearised, LiRA, Ridge
from mis.cli import main
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.outputs import attack, read_outputs
from mis.outputs.network import Network

MODEL = """
def apply(weights, features):
    return features @ weights

def of_tensors(weights, features):
    found = features @ weights["dense.weight"]
    return found + weights["dense.bias"].reshape((1,) * (found.ndim - 1) + (-1,))

def rows(weights, features):
    return (features @ weights)[:-1]

def fails(weights, features):
    return features @ weights[1:]
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    return f"{path}:apply"


@pytest.fixture
def given(rng):
    """Least squares on random halves of a pool, half as many weights as records in a half."""
    features, noise = rng.normal(size=(60, 15)), rng.normal(size=60)
    membership = rng.random((24, 60)) < 0.5
    weights = np.array([np.linalg.lstsq(features[half], noise[half], rcond=None)[0] for half in membership])
    arrays = {"weights": weights, "membership": membership, "features": features, "targets": noise}
    return {name: x.astype(np.float32) if x.dtype == float else x for name, x in arrays.items()}


def saved(path, **given):
    np.savez(path, **given)
    return path


def kept(path, attacks, **options):
    found = {}
    result = attack(path, attacks, keep=lambda name, values: found.update({name: values}), **options)
    return result, found


def by_folds(scores, folds=4, networks=24):
    """Scores of each fold by all the others, from a function of both."""
    of = np.arange(networks) % folds
    found = [scores(np.flatnonzero(of != k), np.flatnonzero(of == k)) for k in range(folds)]
    return np.stack([found[k % folds][k // folds] for k in range(networks)])


def test_weights_and_gradients(given, tmp_path):
    """Scores are those of the attacks themselves, called fold by fold; without a model no others are served."""
    weights, membership = given["weights"], given["membership"]
    gradients = -given["features"] * given["targets"][:, None]
    path = saved(tmp_path / "w.npz", weights=weights, membership=membership, gradients=gradients)
    result, found = kept(path, "ridge,linearised", num_folds=4)
    expected = by_folds(lambda shadow, target: Ridge().scores(shadow_params=weights[shadow],
        shadow_membership=membership[shadow], target_params=weights[target]))  # fmt: skip
    np.testing.assert_allclose(found["ridge"], expected, rtol=1e-9, atol=1e-12)
    expected = by_folds(lambda shadow, target: Linearised().scores(
        shadow_params=weights[shadow], target_params=weights[target], gradients=gradients))  # fmt: skip
    np.testing.assert_allclose(found["linearised"], expected, rtol=1e-9, atol=1e-12)
    assert result["linearised"].advantage.lower > 0.1
    everything = attack(path)
    assert {row.attack for row in everything.rows} == {"ridge", "linearised"}
    assert "gradient" in everything.left_out["gradient_norm"]
    with pytest.raises(UnsupportedSetting, match=r"lira needs shadow_scores, .*, which weights do not tell"):
        attack(path, "lira")


def test_a_model_computes_outputs_and_gradients(given, model, tmp_path):
    """Closed forms of a linear regression; attacks on outputs as from the file of these outputs."""
    path = saved(tmp_path / "w.npz", **given)
    names = "lira,linearised,influence,gradient_norm"
    result, found = kept(path, names, model=model, num_folds=4)
    x, y, weights = (given[name].astype(float) for name in ("features", "targets", "weights"))
    residuals = weights @ x.T - y
    predictions = saved(tmp_path / "p.npz", predictions=residuals + y, **{
        name: given[name] for name in ("targets", "membership")})  # fmt: skip
    of_outputs, outputs = kept(predictions, "lira", num_folds=4)
    np.testing.assert_allclose(found["lira"], outputs["lira"], rtol=1e-2, atol=1e-3)
    assert result["lira"].auc.value == pytest.approx(of_outputs["lira"].auc.value, abs=1e-3)

    def gradients(shadow):
        return 2 * residuals[shadow[:4]].mean(axis=0)[:, None] * x

    def params(shadow, target):
        return {
            "shadow_params": weights[shadow],
            "target_params": weights[target],
            "gradients": gradients(shadow),
        }

    expected = by_folds(lambda *of: Linearised().scores(**params(*of)))
    np.testing.assert_allclose(found["linearised"], expected, rtol=1e-3, atol=1e-3)
    expected = by_folds(lambda *of: Influence().scores(**params(*of), factors=np.sqrt(2) * x))
    np.testing.assert_allclose(found["influence"], expected, rtol=1e-2, atol=1e-2)
    expected = GradientNorm().scores(target_gradients=2 * residuals[..., None] * x)
    np.testing.assert_allclose(found["gradient_norm"], expected, rtol=1e-4, atol=1e-4)
    assert result.about["weights"] == 15


def test_gradients_and_factors_of_a_classification(model, rng):
    """(p - e_y) x'; factors are those of classes drawn from p."""
    features, labels = rng.normal(size=(4000, 2)).astype(np.float32), rng.integers(3, size=4000)
    weights = rng.normal(size=6).astype(np.float32)
    features[:] = features[0]
    network = Network(model.replace("apply", "of_tensors"), {"dense.weight": (2, 2), "dense.bias": (2,)},
                      features, labels % 2)  # fmt: skip
    p = softmax(features[0] @ weights[:4].reshape(2, 2) + weights[4:])
    [(_, found)] = network.gradients(weights)
    for label in (0, 1):
        slope = p - np.eye(2)[label]
        expected = np.append(np.outer(features[0], slope).ravel(), slope)
        np.testing.assert_allclose(found[labels % 2 == label][0], expected, rtol=1e-4, atol=1e-6)
    drawn = network.factors(weights, rng)[:, 4] < 0
    # The first class was drawn where the slope of its bias is negative.
    assert abs(drawn.mean() - p[0]) < 5 * np.sqrt(p[0] * p[1] / 4000)


def write_gguf(arrays, path):
    writer = gguf.GGUFWriter(path, "test")
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


WRITERS = {
    "safetensors": save_file,
    "npz": lambda arrays, path: np.savez(path, **arrays),
    "gguf": write_gguf,
}


def checkpoints(folder, given, suffix="npz"):
    """Write one file a network, its last weight as a bias, and the examples beside them."""
    folder.mkdir()
    examples = {name: x for name, x in given.items() if name != "weights"}
    np.savez(folder / "examples.npz", **examples)
    for i, row in enumerate(given["weights"]):
        tensors = {"dense.weight": row[:15].copy(), "dense.bias": row[15:].copy()}
        WRITERS[suffix](tensors, str(folder / f"network{i}.{suffix}"))
    return folder


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_folder_of_checkpoints(given, model, suffix, tmp_path):
    """Networks in the order of their numbers, tensors by name: weights, and what a model computes, as of one array."""
    features = np.c_[given["features"], np.ones(60, np.float32)]
    given["weights"] = np.c_[given["weights"], np.linspace(0, 0.1, 24, dtype=np.float32)]
    expected = read_outputs(saved(tmp_path / "w.npz", **given | {"features": features}), model)
    folder = checkpoints(tmp_path / "nets", given, suffix)
    found = read_outputs(folder, model.replace(":apply", ":of_tensors"))
    # Tensors lie in the order of their names: the bias first.
    np.testing.assert_array_equal(np.roll(found.weights.released, -1, axis=1), expected.weights.released)
    [(_, _, outputs), *_] = found.arrays.blocks("weights", found.networks[0].shape)
    [(_, _, others), *_] = expected.arrays.blocks("weights", expected.networks[0].shape)
    np.testing.assert_allclose(outputs, others, rtol=1e-4, atol=1e-4)


def test_released_and_full_weights_with_their_cells(given, tmp_path):
    """Signs, with what they were before: decoding and cells are served; shadows apart, and one target."""
    full, membership = given["weights"], given["membership"]
    gradients = -given["features"] * given["targets"][:, None]
    signs, bounds = np.sign(full), (np.where(full > 0, 0, -np.inf), np.where(full > 0, np.inf, 0))
    rows = {"weights": signs, "full": full, "lower": bounds[0], "upper": bounds[1], "membership": membership}
    names = "ridge,decoded,cell_ratio"
    _, found = kept(saved(tmp_path / "s.npz", **rows, gradients=gradients), names, num_folds=24)
    assert {*names.split(",")} < set(found)
    apart = {f"shadow_{name}": x[1:] for name, x in rows.items()}
    apart |= {f"target_{name}": x[0] for name, x in rows.items()}
    _, single = kept(saved(tmp_path / "a.npz", **apart, gradients=gradients), names)
    for name in names.split(","):
        np.testing.assert_allclose(single[name][0], found[name][0], rtol=1e-9, atol=1e-12)


def test_weights_that_know_nothing(rng, tmp_path):
    """Under either design of membership nothing is claimed; counts of networks may tell, so cells are left out."""
    claims = 0
    for i in range(2):
        free = rng.random((16, 100)) < 0.5
        balanced = np.stack([rng.permutation(16) < 8 for _ in range(100)], axis=1)
        path = saved(
            tmp_path / "n.npz", weights=rng.normal(size=(16, 30)), gradients=rng.normal(size=(100, 30)),
            membership=balanced if i % 2 else free, lower=np.full((16, 30), -np.inf), upper=rng.normal(size=(16, 30)),
        )  # fmt: skip
        result = attack(path)
        assert ("cell_ratio" in result.left_out) == (i % 2 == 1)
        claims += sum(row.auc.lower > 0.5 for row in result.rows) + (result.strongest.lower > 0)
    assert claims <= 2


BAD = {
    "no membership": (lambda g: g.pop("membership"), r"expected membership \(T, N\), .*, got none"),
    "networks": (lambda g: g.update(membership=g["membership"][1:]), "expected membership of shape"),
    "one axis": (lambda g: g.update(weights=g["weights"][0]), "expected membership of shape|one row a network"),
    "three axes": (lambda g: g.update(weights=g["weights"][..., None]), "weights of shape .*one row a network"),
    "NaN": (lambda g: g["weights"].__setitem__((3, 2), np.nan), "expected weights finite, .* in network 3"),
    "text": (lambda g: g.update(weights=g["weights"].astype(str)), "expected weights real numbers"),
    "gradients": (lambda g: g.update(gradients=np.ones((60, 9))), r"expected gradients of shape \(60, 15\)"),
    "gradients infinite": (
        lambda g: g.update(gradients=np.full((60, 15), np.inf)), "expected gradients finite, .* in record 0"),
    "half a cell": (lambda g: g.update(lower=g["weights"]), "expected lower and upper ends of cells, got one"),
    "cells": (
        lambda g: g.update(lower=g["weights"] + 1, upper=g["weights"]), "lower <= upper, .* in network 0, weight 0"),
    "NaN in cells": (lambda g: g.update(lower=g["weights"] * np.nan, upper=g["weights"]), "lower <= upper, .*got nan"),
    "full": (lambda g: g.update(full=g["weights"][:, 1:]), r"expected full of shape \(24, 15\)"),
    "no features": (lambda g: g.pop("features"), "expected features of the records for --model, got none"),
    "no labels": (lambda g: g.pop("targets"), "expected labels of the records for --model, got none"),
    "features": (lambda g: g.update(features=g["features"][1:]), "expected features of 60 records"),
    "outputs too": (
        lambda g: g.update(predictions=np.ones((24, 60))), "expected --model with weights and without predictions"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_weights_are_refused_in_one_line(case, given, model, tmp_path):
    change, message = BAD[case]
    change(given)
    with pytest.raises(InvalidInput, match=message) as refused:
        attack(saved(tmp_path / "bad.npz", **given), model=model)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rows", r"mine.py:rows to return outputs \(60, C\), or \(60,\) of a regression, got shape \(59,\)"),
        ("fails", "mine.py:fails fails: TypeError"),
        ("none", "has no none; it has apply, of_tensors, rows, fails"),
    ],
)
def test_bad_models_are_refused_in_one_line(name, message, given, model, tmp_path):
    with pytest.raises(InvalidInput, match=message) as refused:
        attack(saved(tmp_path / "w.npz", **given), model=model.replace(":apply", f":{name}"))
    assert "\n" not in str(refused.value)


def test_bad_folders_are_refused_in_one_line(given, tmp_path, capsys):
    given["weights"] = np.c_[given["weights"], np.zeros(24, np.float32)]
    folder = checkpoints(tmp_path / "nets", given)
    before = sorted(path.name for path in folder.iterdir())

    def refused(message):
        with pytest.raises(SystemExit) as stop:
            main(["attack", str(folder), "--attacks", "ridge", "--out", str(tmp_path / "out")])
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert message in said

    np.savez(folder / "network7.npz", **{"dense.weight": np.ones(14), "dense.bias": np.ones(1)})
    refused("network7.npz: expected tensors as in network0.npz, got dense.weight of shape (14,), there (15,)")
    (folder / "network7.npz").write_bytes(b"")
    refused("network7.npz: expected a file of tensors, got an empty one")
    (folder / "network7.npz").unlink()
    refused("expected membership of shape (23, 60)")
    for path in folder.glob("network*"):
        path.unlink()
    refused("expected networks (.safetensors, .npz, .gguf, .onnx) beside examples.npz, got none")
    assert len(before) == 25
    assert not (tmp_path / "out").exists()


def test_integers_that_are_no_weights_are_left_out(given, tmp_path):
    """As the counter beside batch statistics that PyTorch saves."""
    given["weights"] = np.c_[given["weights"], np.zeros(24, np.float32)]
    folder = checkpoints(tmp_path / "nets", given)
    for path in folder.glob("network*"):
        with np.load(path) as arrays:
            np.savez(path, **arrays, num_batches_tracked=np.int64(7))
    assert read_outputs(folder).weights.released.shape == (24, 16)


def test_outputs_and_weights_together(given, tmp_path):
    weights = given["weights"].astype(float)
    predictions = weights @ given["features"].T
    rows = {name: given[name] for name in ("weights", "membership", "targets")}
    result, _ = kept(saved(tmp_path / "b.npz", predictions=predictions, **rows), "lira,ridge")
    assert {"lira", "ridge"} == {row.attack for row in result.rows}
    expected = LiRA().scores(
        shadow_scores=predictions[1:] - given["targets"], shadow_membership=given["membership"][1:],
        target_scores=predictions[0] - given["targets"],
    )  # fmt: skip
    found = kept(tmp_path / "b.npz", "lira", num_folds=24)[1]["lira"][0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)

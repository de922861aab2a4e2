"""What every network promises, whatever its parameters look like."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mis.models import MLP, MODELS, Butterfly, Functions, LeNet, Model, ResNet8, ResNet18, check, get
from mis.models.resnet import ResNet
from mis.numerics.checks import InvalidInput
from mis.training import Learner, train_chunk
from mis.training.devices import in_one_program
from mis.training.ensemble import initial_points


def _init(key):
    one, two = jax.random.split(key)
    # Kernels (out, in), as some libraries have them, and a scalar that belongs to no tensor.
    first = {"weight": 0.2 * jax.random.normal(one, (7, 64)), "bias": jnp.zeros(7)}
    return [first, {"weight": jax.random.normal(two, (3, 7)), "bias": jnp.zeros(3)}, jnp.ones(())]


def _apply(params, images):
    first, second, scale = params
    hidden = jnp.tanh(images.reshape(len(images), -1) @ first["weight"].T + first["bias"][None])
    return hidden @ second["weight"].T * jnp.broadcast_to(scale, (1, 1)) + second["bias"][None]


IMAGES = (8, 8, 1)
CASES: dict[str, Model] = {
    "mlp": MLP(input_shape=IMAGES, num_classes=3, width=5),
    "mlp-regression": MLP(input_shape=(6,)),
    "butterfly": Butterfly(input_shape=(3, 2), num_classes=3),
    "lenet": LeNet(input_shape=IMAGES, num_classes=3),
    "lenet-sigmoid": LeNet(input_shape=(9, 11, 2), num_classes=3, activation="sigmoid"),
    "lenet-regression": LeNet(input_shape=IMAGES),
    "resnet-8": ResNet8(input_shape=IMAGES, num_classes=3, width=8),
    "resnet-8-batch": ResNet8(input_shape=IMAGES, num_classes=3, width=2, norm="batch"),
    "resnet-18": ResNet18(input_shape=(9, 8, 3), num_classes=3, width=8),
    "resnet-18-batch": ResNet18(input_shape=IMAGES, num_classes=3, width=2, norm="batch"),
    "functions": Functions(init=_init, apply=_apply, input_shape=IMAGES, num_classes=3),
}


@functools.cache
def case(name):
    model = CASES[name]
    rng = np.random.default_rng(len(name))
    x = model.take(rng.normal(size=(12, *model.input_shape)).astype(np.float32))
    y = rng.integers(3, size=12) if model.num_classes else rng.normal(size=12).astype(np.float32)
    # Of NumPy: draws of JAX take longer to compile than the rest. Vectors are positive: variances are among them.
    params = jax.tree.map(
        lambda leaf: np.float32(
            rng.normal(0, 0.3, leaf.shape) if leaf.ndim > 1 else rng.uniform(0.5, 1.5, leaf.shape)
        ),
        jax.eval_shape(model.init, jax.random.key(0)),
    )
    return model, params, x, y


# Those that take long to compile are the expensive end, and training them takes longest.
ALL = [pytest.param(name, marks=pytest.mark.slow) if "resnet-18" in name else name for name in CASES]
QUICK = ("mlp", "mlp-regression", "lenet", "functions")
TRAINED = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
# One for all, so that a step compiles once.
LEARNER = Learner(optimiser="momentum", learning_rate=1e-2, weight_decay=0.1, num_steps=13, batch_size=6)


@functools.cache
def trained(name, compiled):
    """Networks, three snapshots of each, by one program or by single steps."""
    model, _, x, y = case(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mis.training.ensemble.in_one_program", lambda _: compiled)
        return train_chunk(model, LEARNER, x, y, seed=1, indices=np.arange(3), num_snapshots=3)


def test_every_registered_network_has_a_case():
    assert set(MODELS) <= set(CASES)
    assert all(type(CASES[name]) is spec for name, spec in MODELS.items())


@pytest.mark.parametrize("name", ALL)
def test_matrices_hold_every_parameter_once(name):
    model, params, _, _ = case(name)
    pack, unpack = jax.jit(model.pack), jax.jit(model.unpack)
    layers = pack(params)
    assert [layer.shape for layer in layers] == model.shapes
    assert sum(layer.size for layer in layers) == sum(leaf.size for leaf in jax.tree.leaves(params))
    back = unpack(layers)
    assert jax.tree.structure(back) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, back, params)
    # Other numbers in every matrix come back too.
    marked = [layer + k for k, layer in enumerate(layers)]
    for before, after in zip(marked, pack(unpack(marked)), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", TRAINED)
def test_outputs_and_losses_are_one_an_example(name):
    model, params, x, y = case(name)
    layers, predict = jax.jit(model.pack)(params), jax.jit(model.predict)
    outputs = predict(layers, x)
    assert outputs.shape == (12, model.num_outputs)
    single = np.concatenate([predict(layers, x[i : i + 1]) for i in range(12)])
    np.testing.assert_allclose(outputs, single, rtol=1e-4, atol=1e-5)
    if model.num_classes:
        expected = optax.softmax_cross_entropy_with_integer_labels(outputs, jnp.asarray(y))
    else:
        expected = optax.l2_loss(outputs[:, 0], y)
    np.testing.assert_allclose(jax.jit(model.losses)(layers, x, y), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_training_goes_down_hill_and_repeats(name):
    model, _, x, y = case(name)
    once, again = trained(name, in_one_program(model)), trained.__wrapped__(name, in_one_program(model))
    for some, same in zip(once.params, again.params, strict=True):
        np.testing.assert_array_equal(some, same)
        assert np.isfinite(some).all()
    members = once.membership[0]
    losses = jax.jit(model.losses)
    first, last = (losses([layer[0, s] for layer in once.params], x, y)[members].mean() for s in (0, 2))
    assert last < first
    assert [layer.shape[2:] for layer in once.params] == model.shapes


@pytest.mark.parametrize("name", TRAINED)
def test_one_program_and_single_steps_train_the_same_network(name):
    one, other = (trained(name, compiled).params for compiled in (True, False))
    for some, same in zip(one, other, strict=True):
        np.testing.assert_allclose(some, same, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_a_good_network_passes_the_door(name):
    model, *_ = case(name)
    check(model, np.zeros((4, *model.input_shape), np.float32))
    with pytest.raises(InvalidInput, match=r"expected features of shape \(N, .*got features.shape=\(2, 99\)"):
        check(model, np.zeros((4, 99), np.float32))


def test_batch_statistics_are_means_over_batches():
    model, params, x, _ = case("resnet-8-batch")
    move = jax.jit(model.fit_statistics)
    outputs, moved = move(params, x)
    before, after = params["stem"]["norm"], moved["stem"]["norm"]
    images = jax.lax.conv_general_dilated(
        x, params["stem"]["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    for name, batch in (("mean", images.mean(axis=(0, 1, 2))), ("variance", images.var(axis=(0, 1, 2)))):
        np.testing.assert_allclose(after[name], 0.9 * before[name] + 0.1 * batch, rtol=1e-4, atol=1e-6)
    # With statistics of this very batch, evaluation and training say the same.
    for _ in range(200):
        params = move(params, x)[1]
    np.testing.assert_allclose(jax.jit(model.apply)(params, x), outputs, rtol=1e-3, atol=1e-4)


class OneBlock(ResNet):
    stages = (1,)


def test_batch_statistics_never_decay():
    _, _, x, y = case("resnet-8-batch")
    model = OneBlock(input_shape=IMAGES, num_classes=3, width=2, norm="batch")
    learner = Learner(optimiser="sgd", learning_rate=1e-30, weight_decay=1e29, num_steps=1, batch_size=6)
    fit = train_chunk(model, learner, x, y, seed=1, indices=np.arange(1))
    final = model.unpack([layer[0] for layer in fit.params])
    start = model.unpack([layer[0] for layer in initial_points(1, np.arange(1), model, learner)])
    np.testing.assert_allclose(final["head"]["kernel"], 0.9 * start["head"]["kernel"], rtol=1e-5)
    for layer in (final["stem"], final["blocks"][0]["first"], final["blocks"][0]["second"]):
        # One moved by a batch, not decayed: 0.9 and a tenth of what there was.
        assert (layer["norm"]["variance"] > 0.9).all()
    assert (final["stem"]["norm"]["mean"] != 0).all()


def test_kernels_with_their_channels_first_are_turned():
    layout = CASES["functions"].layout
    assert [(g.name, g.first, g.alone, g.rows, g.num_channels) for g in layout.groups] == [
        ("0/weight", True, False, (64, 1), 7),
        ("1/weight", True, False, (7, 1), 3),
        ("2", False, True, (1, 0), 1),
    ]
    params = _init(jax.random.key(0))
    np.testing.assert_array_equal(layout.pack(params)[0][:-1], params[0]["weight"].T)


def test_gains_and_statistics_stay_apart_from_kernels():
    layout = CASES["resnet-8-batch"].layout
    alone = {group.name.rsplit("/", 1)[-1] for group in layout.groups if group.alone}
    assert alone == {"gain", "bias", "mean", "variance"}
    assert all(group.rows[1] == 0 for group in layout.groups if group.alone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apply": lambda p, x: _apply(p, x) * jnp.nan}, "expected finite outputs"),
        ({"apply": lambda p, x: _apply(p, x)[:, :2]}, r"expected outputs of shape \(2, 3\), got \(2, 2\)"),
        ({"apply": lambda p, x: _apply(p, x)[:1]}, r"expected outputs of shape \(2, 3\), got \(1, 3\)"),
        ({"apply": lambda _, x: float(x.sum())}, "fails on features of shape"),
        ({"apply": lambda p, _: p["no"]}, "fails on features of shape"),
        ({"init": lambda _: {"a": ["text"]}}, "fails on features of shape .*str"),
        (
            {"init": lambda _: {"a": jnp.arange(3)}},
            "expected parameters of floating-point numbers, got int32 at a",
        ),
        ({"init": lambda _: {}}, "expected parameters with at least one array"),
        ({"init": lambda _: 1 / 0}, "division by zero"),
    ],
)
def test_a_bad_network_is_refused_in_one_line(change, message):
    model = dataclasses.replace(CASES["functions"], **change)
    with pytest.raises(InvalidInput, match=message) as refused:
        check(model, np.zeros((4, *IMAGES), np.float32))
    assert "\n" not in str(refused.value)


def test_parameters_that_change_their_structure_are_refused():
    calls = []

    def init(key):
        calls.append(key)
        return {"a": jnp.ones((64, 3)), **({"b": jnp.ones(3)} if len(calls) % 2 else {})}

    model = Functions(init=init, apply=_apply, input_shape=IMAGES, num_classes=3)
    with pytest.raises(InvalidInput, match="one structure, got several"):
        check(model, np.zeros((4, *IMAGES), np.float32))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (None, "no.py:build", "cannot be read"),
        ("x = 1", "m.py", "expected FILE.py:NAME"),
        ("def f(): pass\n", "m.py:g", "has no g; it has f"),
        ("import nothing_of_this_name\n", "m.py:g", "cannot be imported: ModuleNotFoundError"),
        ("def g(: pass\n", "m.py:g", "cannot be imported: SyntaxError"),
        ("raise SystemExit(3)\n", "m.py:g", "cannot be imported: SystemExit"),
        ("g = 3\n", "m.py:g", "to give mis.models.Functions or .init, apply., got a int"),
        ("def g(): raise ValueError('no')\n", "m.py:g", "g of .* fails: ValueError: no"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, monkeypatch, text, place, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "m.py").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        get(place if ":" in place else f"{place}:", IMAGES, 3)


GOOD = """
import jax, jax.numpy as jnp

def pair():
    def init(key):
        return {"w": jax.random.normal(key, (64, 3)), "b": jnp.zeros(3)}
    return init, lambda params, x: x.reshape(len(x), -1) @ params["w"] + params["b"][None]

def build(input_shape, num_classes):
    size = input_shape[0] * input_shape[1]
    return lambda key: [jax.random.normal(key, (size, num_classes))], lambda p, x: x.reshape(len(x), -1) @ p[0]
"""


@pytest.mark.parametrize(("name", "shapes"), [("pair", [(65, 3)]), ("build", [(64, 3)])])
def test_a_network_from_a_file(tmp_path, name, shapes):
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    model = get(f"{path}:{name}", IMAGES, 3)
    assert model.shapes == shapes
    check(model, np.zeros((4, *IMAGES), np.float32))
    version = model.identity["version"]
    path.write_text(GOOD + "\n# changed\n")
    assert get(f"{path}:{name}", IMAGES, 3).identity["version"] != version


def test_functions_without_a_version_have_no_identity():
    with pytest.raises(InvalidInput, match="expected a version"):
        _ = CASES["functions"].identity

"""Networks of any library, and images, through a ranking."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.attacks import Attack, Input
from mis.models import Functions, check
from mis.numerics.checks import InvalidInput
from mis.populations import Digits
from mis.ranking import asked, columns, evidence, measure, rank, run, trained
from mis.ranking.evidence import ATTACKS, Ranked, served

TINY = {"num_networks": 32, "num_steps": 10, "batch_size": 16, "pool": 40, "num_folds": 3, "attacks": "lira"}


def plain():
    def init(key):
        return [0.1 * jax.random.normal(key, (59, 10)), jnp.zeros(10)]

    return init, lambda params, x: x @ params[0] + params[1]


def with_nnx():
    nnx = pytest.importorskip("flax.nnx")

    class Network(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = nnx.Linear(59, 8, rngs=rngs), nnx.Linear(8, 10, rngs=rngs)

        def __call__(self, x):
            return self.second(nnx.relu(self.first(x)))

    graph = nnx.split(Network(nnx.Rngs(0)))[0]
    return (
        lambda key: nnx.to_pure_dict(nnx.split(Network(nnx.Rngs(params=key)))[1]),
        lambda params, x: nnx.merge(graph, params)(x),
    )


def with_linen():
    linen = pytest.importorskip("flax.linen")
    network = linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(10)])
    return lambda key: network.init(key, jnp.ones((1, 59))), network.apply


def with_equinox():
    eqx = pytest.importorskip("equinox")

    def make(key):
        return eqx.nn.MLP(59, 10, width_size=8, depth=1, key=key)

    fixed = eqx.partition(make(jax.random.key(0)), eqx.is_inexact_array)[1]
    return (
        lambda key: eqx.filter(make(key), eqx.is_inexact_array),
        lambda params, x: jax.vmap(eqx.combine(params, fixed))(x),
    )


@pytest.fixture
def broadcasting():
    """Let a network broadcast as its library likes; for all threads, which a context does not reach."""
    before = jax.config.jax_numpy_rank_promotion
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_numpy_rank_promotion", before)


@pytest.mark.usefixtures("broadcasting")
@pytest.mark.parametrize(
    "library",
    [with_nnx, *(pytest.param(one, marks=pytest.mark.slow) for one in (plain, with_linen, with_equinox))],
)
def test_a_network_of_any_library_is_ranked(library):
    init, apply = library()
    model = Functions(init=init, apply=apply, title="mine")
    ranking = rank("digits", ["sign", "prune-50"], model=model, **TINY)
    assert {row.release for row in ranking} == {"full", "sign", "prune-50"}
    assert all(row.advantage.kind == "attack" for row in ranking)
    assert ranking.about["model"].startswith("mine, ")
    # Biases meet the grid of their weights: two levels a layer and nothing else.
    assert ranking["sign"].zeros == 0.0
    assert ranking["prune-50"].zeros >= 0.5


@pytest.mark.usefixtures("broadcasting")
@pytest.mark.parametrize("library", [plain, with_nnx, with_linen, with_equinox])
def test_a_network_of_any_library_passes_the_door(library):
    init, apply = library()
    model = Functions(init=init, apply=apply, input_shape=(59,), num_classes=10)
    check(model, np.ones((4, 59), np.float32))
    # A bias is the last row of its weights, whatever a library calls them.
    if library is not plain:
        assert model.shapes == [(60, 8), (9, 10)]


class Enough(Exception):
    pass


@pytest.mark.usefixtures("broadcasting")
def test_results_of_a_network_without_a_version_are_not_stored(tmp_path, monkeypatch):
    init, apply = plain()
    with pytest.raises(InvalidInput, match="expected a version"):
        rank("digits", ["sign"], model=Functions(init=init, apply=apply), out=tmp_path, **TINY)

    def stop(*_, **__):
        raise Enough

    # The folder of a run is made before it trains, by what its networks are.
    monkeypatch.setattr(trained, "train_chunk", stop)
    for version in ("1", "1", "2"):
        model = Functions(init=init, apply=apply, version=version)
        with pytest.raises(Enough):
            rank("digits", ["sign"], model=model, out=tmp_path, **TINY)
    assert len(list((tmp_path / "runs").iterdir())) == 2


def convolved():
    """The smallest network of images: four filters, each one's mean over the image, and a linear layer."""

    def init(key):
        one, two = jax.random.split(key)
        return [0.3 * jax.random.normal(one, (3, 3, 1, 4)), jax.random.normal(two, (4, 10))]

    def apply(params, images):
        maps = jax.lax.conv_general_dilated(
            images, params[0], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jax.nn.relu(maps).mean(axis=(1, 2)) @ params[1]

    return init, apply


def test_images_are_ranked_by_networks_that_take_them():
    init, apply = convolved()
    ranking = rank(Digits(images=True), ["uniform-3"], model=Functions(init=init, apply=apply), **TINY)
    assert np.isfinite(ranking.advantages).all()
    assert 0.0 < ranking["full"].retained_ensemble.value <= 1.0
    assert "n = 20 of a pool of 40 examples" in " ".join(ranking.table().split())


def test_registered_networks_of_images_are_given_images(monkeypatch):
    def stop(spec, *_, **__):
        given.append(spec)
        raise Enough

    given = []
    monkeypatch.setattr(run, "train_or_load", stop)
    monkeypatch.setattr(asked, "check", lambda *_: None)
    for name in ("lenet", "resnet-8", "mlp"):
        with pytest.raises(Enough):
            rank("digits", ["sign"], model=name, **TINY)
    assert [spec.model.name for spec in given] == ["lenet", "resnet-8", "mlp"]
    assert [spec.population.images for spec in given] == [True, True, False]
    assert [spec.model.input_shape for spec in given] == [(8, 8, 1), (8, 8, 1), (59,)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "resnet-8"])
def test_registered_networks_rank_images(name):
    small = {"width": 4} if name == "resnet-8" else {}
    ranking = rank(
        "digits", ["uniform-3"], model=name, **small, **TINY | {"num_steps": 6, "attacks": "lira,whitebox"}
    )
    assert ranking.about["spec"]["model"]["name"] == name
    assert np.isfinite(ranking.advantages).all()
    assert 0.0 < ranking["full"].retained_ensemble.value <= 1.0


SOME = ("gap", "trained", "influence", "optimal", "cell_ratio", "gradient_norm")


@pytest.mark.parametrize("asked", [SOME, pytest.param("all", marks=pytest.mark.slow)], ids=["some", "all"])
def test_every_attack_that_can_be_served_is_in_the_ranking_by_name(asked):
    small = TINY | {"attacks": asked, "num_steps": 40, "num_folds": 3, "depth": 0}
    ranking = rank("breast-cancer", ["sign"], **small)
    expected = {*ATTACKS, "whitebox", "combined"} if asked == "all" else set(SOME)
    assert set(ranking["sign"].attacks) == expected
    assert not served("gap", None)
    assert served("influence", None)
    # Random release has no cells, and says so before it is asked for much.
    with pytest.raises(ValueError, match="where the release is random a weight has no cell"):
        rank("breast-cancer", ["stochastic-2"], **small | {"attacks": "cell_ratio"})


def test_a_new_attack_takes_one_registration(monkeypatch):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class FirstLogit(Attack):
        """The first logit."""

        @property
        def needs(self):
            return {"target_logits": Input("T N C")}

        def evaluate(self, *, target_logits):
            return target_logits[..., 0]

    for known in (columns.ATTACKS, columns.COLUMNS):
        monkeypatch.setitem(known, "first_logit", columns.ATTACKS["loss"])
    monkeypatch.setitem(evidence.ATTACKS, "first_logit", Ranked(attack=FirstLogit()))
    assert measure.ATTACKS is evidence.ATTACKS
    monkeypatch.setattr(asked, "ATTACKS", (*asked.ATTACKS, "first_logit"))
    row = rank("breast-cancer", ["sign"], **TINY | {"attacks": "first_logit"})["sign"]
    assert set(row.attacks) == {"first_logit"}

"""Training on in rounds of pruning, rewound or not, against the loop written out."""

from dataclasses import replace

import numpy as np
import pytest

from mis.models import MLP
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import Prune, Sign, parse
from mis.training import Compression, Learner, Tuning, train_chunk, tune_chunk
from mis.training.ensemble import initial_points

MODEL = MLP(input_shape=(5,), width=6, num_classes=3)
LEARNER = Learner(optimiser="momentum", learning_rate=0.05, num_steps=8, batch_size=5)
NUMBERS = np.array([0, 4])
SHARES = [1 - 0.2 ** (1 / 2), 0.8]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    return {"features": rng.normal(size=(30, 5)).astype(np.float32), "targets": rng.integers(0, 3, size=30)}


@pytest.fixture(scope="module")
def trained(data):
    return train_chunk(MODEL, LEARNER, **data, seed=2, indices=NUMBERS)


def zeroed(layer, share):
    """The smallest set to zero, network by network, by sorting."""
    found = np.array(layer)
    for network in found:
        order = np.argsort(np.abs(network), axis=None)
        network.ravel()[order[: round(share * network.size)]] = 0
    return found


@pytest.mark.parametrize("rewind", [3, *(pytest.param(at, marks=pytest.mark.slow) for at in (None, 0))])
def test_rounds_are_pruning_and_training_in_turn(rewind, data, trained):
    options = {**data, "seed": 2, "indices": NUMBERS}
    tuning = Tuning(compression=Compression(quantizer=Prune(zeros=0.8)), num_steps=4, rounds=2, rewind=rewind)
    found = tune_chunk(MODEL, LEARNER, **options, tuning=tuning, begin=trained.params)
    back = None
    if rewind is not None:
        back = initial_points(2, NUMBERS, MODEL, LEARNER)
        if rewind:
            back = train_chunk(MODEL, replace(LEARNER, num_steps=rewind), **options).params
    layers, further = trained.params, replace(LEARNER, num_steps=4)
    for share in SHARES:
        pruned = [zeroed(layer, share) for layer in layers]
        start = (
            pruned if back is None else [np.where(p == 0, 0, b) for p, b in zip(pruned, back, strict=True)]
        )
        if share == SHARES[0]:
            once = {"model": MODEL, "learner": replace(further, num_steps=1), **options}
            stage = Compression(quantizer=Prune(zeros=share))
            free = train_chunk(**once, begin=start).params
            one = train_chunk(**once, begin=layers, tuning=stage, rewound=back).params
            # A first step is a free one, but for what was pruned.
            for step, whole, kept in zip(one, free, pruned, strict=True):
                np.testing.assert_allclose(step, np.where(kept == 0, 0, whole), rtol=1e-5, atol=1e-6)
        layers = train_chunk(
            *(MODEL, further),
            **options,
            begin=layers,
            tuning=Compression(quantizer=Prune(zeros=share)),
            rewound=back,
        ).params
        for layer, kept in zip(layers, pruned, strict=True):
            assert not layer[kept == 0].any()
    for layer, wanted in zip(found.params, layers, strict=True):
        np.testing.assert_array_equal(layer, wanted)
        assert np.all((layer == 0).reshape(2, -1).sum(axis=1) == round(0.8 * layer[0].size))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UnsupportedSetting, match="rounds and rewinding are for pruning, not for sign"):
        Tuning(compression=Compression(quantizer=Sign()), num_steps=4, rewind=0)
    for name, value in (("rounds", 0), ("num_steps", 0), ("rewind", -1)):
        with pytest.raises(InvalidInput, match=f"Tuning: expected {name} an integer >= "):
            Tuning(**{"compression": Compression(quantizer=Prune(zeros=0.5)), "num_steps": 4, name: value})


@pytest.mark.parametrize("kind", ["-global", "-random-seed-2"])
def test_rounds_prune_as_the_last_one_does(kind):
    tuning = Tuning(compression=Compression(quantizer=parse(f"prune-75{kind}")), num_steps=1, rounds=2)
    assert [stage.quantizer.name for stage in tuning.stages] == [f"prune-50{kind}", f"prune-75{kind}"]

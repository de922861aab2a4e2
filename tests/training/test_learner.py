import numpy as np
import optax
import pytest

from mis.numerics.checks import InvalidInput
from mis.training import OPTIMISERS, Learner


def by_hand(optimiser, slopes, start, rate, decay):
    """The textbook recursions, float64."""
    w, velocity, second = float(start), 0.0, 0.0
    path = []
    for t, slope in enumerate(slopes, start=1):
        if optimiser == "adam":
            velocity, second = 0.9 * velocity + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            step = (velocity / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        else:
            velocity = 0.9 * velocity + slope if optimiser == "momentum" else slope
            step = velocity
        w = w - rate * step - rate * decay * w
        path.append(w)
    return path


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_steps_by_hand(rng, optimiser, decay):
    slopes = rng.normal(size=12).astype(np.float32)
    transformation = Learner(optimiser=optimiser, learning_rate=0.1, weight_decay=decay).transformation()
    w = np.float32(1.7)
    state = transformation.init(w)
    path = []
    for slope in slopes:
        update, state = transformation.update(slope, state, w)
        w = optax.apply_updates(w, update)
        path.append(w)
    np.testing.assert_allclose(path, by_hand(optimiser, slopes, 1.7, 0.1, decay), rtol=2e-5)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum"])
def test_steps_rest_where_the_penalised_loss_does(optimiser):
    """The loss ``(w - 3)^2 / 2`` with penalty p rests at ``3 / (1 + p)``."""
    learner = Learner(optimiser=optimiser, learning_rate=0.1, weight_decay=0.5)
    transformation = learner.transformation()
    w = np.float32(0.0)
    state = transformation.init(w)
    for _ in range(500):
        update, state = transformation.update(w - 3.0, state, w)
        w = optax.apply_updates(w, update)
    assert float(w) == pytest.approx(3.0 / (1.0 + learner.penalty), rel=1e-5)
    assert Learner(weight_decay=0.5).penalty is None
    assert Learner().penalty == 0.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"optimiser": "adamw"},
            r"optimiser one of adam, momentum, sgd, got optimiser='adamw'. Nearest: adam",
        ),
        ({"initialisation": "none"}, "initialisation one of fixed, random"),
        ({"learning_rate": 0.0}, "learning_rate a finite number > 0, got learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "learning_rate a finite number > 0, got learning_rate=nan"),
        ({"num_steps": 0}, "num_steps an integer >= 1"),
        ({"batch_size": 2.5}, "batch_size an integer >= 1, got batch_size=2.5"),
        ({"weight_decay": -0.1}, "weight_decay >= 0, got weight_decay=-0.1"),
    ],
    ids=str,
)
def test_impossible_learners_are_refused(fields, message):
    with pytest.raises(InvalidInput, match=f"Learner: expected {message}"):
        Learner(**fields)

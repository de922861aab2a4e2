"""Attack lower bound <= exact advantage, for every attack that applies; the optimal one reaches it.

The learner of theory: of K parameters it releases the one with the least empirical loss. Each example under
attack has its own refits with it and without it, in the proportions of the population's law, so that the
pooled advantage of any attack is at most the exact one.
"""

import numpy as np
import pytest

from mis import attacks, theory

LAWS = {
    "near tie": ([[0.0, 1.0, 0.4], [0.8, 0.0, 0.5]], [0.4, 0.4, 0.2], 6),
    "clear": ([[0.0, 1.0, 0.2, 0.1], [0.9, 0.2, 0.6, 0.7]], [0.5, 0.2, 0.2, 0.1], 12),
    "three parameters": ([[0.0, 1.0, 0.5], [0.6, 0.1, 0.7], [0.4, 0.6, 0.1]], [0.4, 0.3, 0.3], 8),
}


def refit(rng, losses, probs, n, first, size):
    """Index of the released parameter for refits with a given first example, or with none (-1)."""
    counts = rng.multinomial(n - (first >= 0), probs, size)
    if first >= 0:
        counts[:, first] += 1
    # The smallest index wins a tie, rounding included.
    return np.argmin(np.round(counts @ losses.T, 9), axis=1)


def arrays(rng, losses, probs, n, num_shadow, num_target):
    """Inputs of all attacks: a column for each tenth of the law, half of its refits with the example."""
    columns = np.repeat(np.arange(len(probs)), np.round(10 * np.array(probs)).astype(int))

    def released(half):
        sides = [
            [refit(rng, losses, probs, n, z, half), refit(rng, losses, probs, n, -1, half)] for z in columns
        ]
        return np.array([np.concatenate(side) for side in sides]).T

    shadow, target = released(num_shadow // 2), released(num_target // 2)
    membership = np.repeat([True, False], [num_shadow // 2, num_shadow // 2])[:, None] & (columns >= 0)
    shadow_losses, target_losses = losses[shadow, columns], losses[target, columns]
    others = np.tile(columns, 20)
    population = np.array([refit(rng, losses, probs, n, -1, num_target) for _ in others]).T
    inputs = {
        "target_losses": target_losses,
        "shadow_losses": shadow_losses,
        "shadow_scores": -shadow_losses,
        "target_scores": -target_losses,
        "shadow_membership": membership,
        "shadow_probabilities": np.exp(-shadow_losses),
        "target_probabilities": np.exp(-target_losses),
        "population_target": np.exp(-losses[population, others]),
        "population_shadow": np.tile(np.exp(-shadow_losses), 20),
        "population_membership": np.tile(membership, 20),
    }
    return inputs, shadow, target, np.arange(num_target) < num_target // 2


@pytest.mark.parametrize(("losses", "probs", "n"), LAWS.values(), ids=LAWS)
def test_no_attack_exceeds_the_exact_advantage_and_counting_reaches_it(losses, probs, n):
    rng = np.random.default_rng(3)
    losses = np.array(losses)
    truth = theory.exact(theory.DiscreteLosses(losses=losses, probs=probs), n)
    inputs, shadow, target, members = arrays(rng, losses, probs, n, num_shadow=4000, num_target=3000)

    optimal = np.stack(
        [
            attacks.Optimal().scores(
                shadow_codes=shadow[:, j], shadow_membership=inputs["shadow_membership"][:, [j]],
                target_codes=target[:, j],
            )[:, 0]
            for j in range(target.shape[1])
        ],
        axis=1,
    )  # fmt: skip
    best = attacks.audit(member=optimal[members].ravel(), nonmember=optimal[~members].ravel(), level=0.999)
    assert best.advantage.lower <= truth.upper
    assert best.advantage.upper >= truth.lower
    assert best.advantage.width < 0.05

    for attack in (
        attacks.LiRA(),
        attacks.LiRA(variance="pooled"),
        attacks.LiRA(online=False),
        attacks.LossThreshold(),
        attacks.CalibratedLoss(),
        attacks.RMIA(),
    ):
        scores = attack.scores(**{name: inputs[name] for name in attack.needs})
        found = attacks.audit(member=scores[members].ravel(), nonmember=scores[~members].ravel(), level=0.999)
        assert found.advantage.lower <= truth.upper, attack
        assert found.advantage.lower <= best.advantage.upper, attack


@pytest.mark.parametrize(("losses", "probs", "n"), LAWS.values(), ids=LAWS)
def test_counting_meets_the_exact_advantage(losses, probs, n):
    rng = np.random.default_rng(4)
    losses = np.array(losses)
    truth = theory.exact(theory.DiscreteLosses(losses=losses, probs=probs), n)
    columns = np.repeat(np.arange(len(probs)), np.round(10 * np.array(probs)).astype(int))
    codes_with = np.stack([refit(rng, losses, probs, n, z, 20_000) for z in columns])
    found = attacks.counting_advantage(codes_with, refit(rng, losses, probs, n, -1, 100_000), level=0.999)
    assert found.lower <= truth.value <= found.upper
    # The examples stand for the law exactly, so the value is far nearer than the interval over examples says.
    assert abs(found.value - truth.value) < 0.01

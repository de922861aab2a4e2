"""Noise of a quantizer's squared error."""

import jax
import numpy as np
import pytest

from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import NoiseLike, Sign, parse


@pytest.mark.parametrize("name", ["sign", "uniform-3-asymmetric-channel", "prune-60+codebook-4", "full"])
def test_its_error_is_that_of_the_quantizer(name, rng):
    weights = rng.standard_t(4, size=(300, 40))
    own = parse(name)
    wanted = np.mean((own(weights) - weights) ** 2)
    channel = parse(f"noise-like-{name}").fit(weights)
    assert channel.squared_error(weights) == pytest.approx(wanted, rel=1e-6)
    released = channel.apply(weights, key=jax.random.key(3))
    error = (released - weights) ** 2
    assert error.mean() == pytest.approx(wanted, abs=5 * wanted * np.sqrt(2 / error.size) + 1e-12)


def test_what_it_cannot_be_like():
    with pytest.raises(InvalidInput, match="expected like a quantizer, got like='sign'"):
        NoiseLike(like="sign")
    for name in ("noise-10", "stochastic-3", "noise-like-sign"):
        with pytest.raises(UnsupportedSetting, match=f"{name} is random or calibrated; choose another"):
            parse(f"noise-like-{name}")
    assert NoiseLike(like=Sign()).name == "noise-like-sign"

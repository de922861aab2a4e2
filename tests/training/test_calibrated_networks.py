"""What calibrated quantizers are shown of networks: the inputs of layers, with the layers before them as released."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.models import MLP, Functions
from mis.models.convolution import affine
from mis.numerics.checks import UnsupportedSetting
from mis.quantizers import parse
from mis.quantizers.calibrated import Calibrated
from mis.training import Compression


@dataclass(frozen=True, kw_only=True)
class Watching(Calibrated):
    """Rounds to nearest, and writes down what it was shown."""

    family: ClassVar[str] = "watching"
    seen: ClassVar[list] = []

    def fit_network(self, tensors, calibration):
        self.seen.clear()
        found = {}

        def replace(number, inputs):
            lattice = self.lattice(jnp.asarray(tensors[number]))
            found[number] = self.realised(lattice, lattice.nearest(tensors[number]))
            self.seen.append((number, inputs))
            return found[number].released

        calibration.run(replace)
        return [found[number] for number in range(len(tensors))]


def test_a_calibrated_quantizer_sees_inputs_with_a_one_for_the_bias(rng):
    model = MLP(input_shape=(3,), width=4, num_classes=2)
    layers = [np.asarray(layer) + np.float32(0.1) for layer in model.initial(jax.random.key(0))]
    x = rng.normal(size=(6, 3)).astype(np.float32)
    ones, spec = np.ones((6, 1)), Watching(bits=2)
    channels = Compression(quantizer=spec).fit(model, layers, x)
    (first, inputs), (second, hidden) = spec.seen
    assert (first, second) == (0, 1)
    np.testing.assert_array_equal(inputs, np.hstack([x, ones]))
    # The second layer's inputs are those of the first one quantized.
    rounded = np.asarray(channels[0].released)
    np.testing.assert_allclose(hidden, np.hstack([np.maximum(inputs @ rounded, 0), ones]), atol=1e-5)


@pytest.mark.slow
def test_vectors_apart_are_replaced_first_and_exact_ones_stay(rng):
    model = MLP(input_shape=(3,), width=4, num_classes=2)
    layers = [np.asarray(layer) + np.float32(0.1) for layer in model.initial(jax.random.key(0))]
    x, spec = rng.normal(size=(6, 3)).astype(np.float32), Watching(bits=2)
    # Vectors apart are replaced first, and no inputs are known of them; exact ones stay.
    Compression(quantizer=spec, vectors="own").fit(model, layers, x)
    assert [number for number, _ in spec.seen] == [1, 3, 0, 2]
    assert [inputs is None for _, inputs in spec.seen] == [True, True, False, False]
    np.testing.assert_array_equal(spec.seen[2][1], x)
    exact = Compression(quantizer=spec, vectors="exact").fit(model, layers, x)
    assert [number for number, _ in spec.seen] == [0, 1]
    sums = x @ np.asarray(exact[0].released) + layers[0][-1:]
    np.testing.assert_allclose(spec.seen[1][1], np.maximum(sums, 0), atol=1e-5)


def test_networks_whose_layers_are_not_seen_are_refused():
    def tensors(apply, **more):
        init = {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2), **more}
        return Functions(init=lambda _: init, apply=apply, input_shape=(3,), num_classes=2, title="mine")

    def check(model, name):
        Compression(quantizer=parse(name)).check(model)

    unseen = tensors(lambda p, x: x @ p["kernel"] + p["bias"][None])
    with pytest.raises(
        UnsupportedSetting,
        match="gptq-2: it needs to see the inputs of every layer, and not those of kernel of mine",
    ):
        check(unseen, "gptq-2")
    # Outputs are all that it asks for.
    check(unseen, "brecq-2-steps-1")
    scaled = tensors(lambda p, x: affine(x, p) * p["gain"][None], gain=jnp.ones(2))
    with pytest.raises(UnsupportedSetting, match="2 vectors share the grid of kernel of mine"):
        check(scaled, "gptq-2")

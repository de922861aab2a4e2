"""Script: how fast an ensemble trains, beside the matmul rate of this machine and a plain PyTorch loop.

64 MLPs 128-64-10, each on 1000 of a pool of 2000 points, 2000 momentum steps of batch 100; compilation apart.

FLOP convention: ``matmul_fraction`` counts ``6 * P * batch`` a step, P the entries of the weight matrices without their
biases: two for each product forward, of the weights' gradient and of the inputs' gradient.
``matmul_fraction_needed`` leaves out the gradient of the first layer's inputs, which nobody computes. Batches,
optimiser, activations and losses count nothing, their time counts. The rate they are a fraction of is that of the best
of several float32 products on all devices, same run. ``torch_ratio`` is to a loop with the threads PyTorch takes by
itself, ``torch_ratio_best`` to the better of that and one thread.
"""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

from mis.models import MLP
from mis.training import CHUNK, Learner, num_devices, train, train_chunk
from mis.training.ensemble import _init, batches_of
from mis.training.loops import fit_compiled

MODELS, POOL, REPEATS = 64, 2000, 3
MODEL = MLP(input_shape=(128,), width=64, num_classes=10)
LEARNER = Learner(optimiser="momentum", learning_rate=0.01, num_steps=2000, batch_size=100)
TORCH_STEPS = 300


def data():
    rng = np.random.default_rng(0)
    classes = rng.integers(MODEL.num_classes, size=POOL)
    centres = rng.normal(size=(MODEL.num_classes, MODEL.num_inputs)) / 3
    x = centres[classes] + rng.normal(size=(POOL, MODEL.num_inputs))
    return x.astype(np.float32), classes.astype(np.int32)


def check(x, y):
    """Assert that a network of the engine is the one a plain loop trains."""
    learner = Learner(optimiser="momentum", learning_rate=0.01, num_steps=20, batch_size=100)
    chunk = train_chunk(MODEL, learner, x, y, seed=0, indices=np.arange(2))
    params = _init(jax.random.fold_in(jax.random.key(0), 2), np.uint32(0), model=MODEL)
    step = optax.sgd(learner.learning_rate, momentum=0.9)
    state = step.init(params)
    slope = jax.jit(jax.grad(lambda params, x, y: MODEL.losses(params, x, y).mean()))
    for rows in batches_of(0, 1, np.flatnonzero(chunk.membership[1]), learner):
        updates, state = step.update(slope(params, x[rows], y[rows]), state)
        params = optax.apply_updates(params, updates)
    for layer, expected in zip(chunk.params, params, strict=True):
        np.testing.assert_allclose(layer[1], expected, rtol=1e-3, atol=1e-5)


def compile_seconds(x, y):
    """Tracing, lowering and compiling what trains one chunk."""

    def like(shape, dtype=jnp.float32):
        return jax.ShapeDtypeStruct(shape, dtype)

    layers = [like((CHUNK, *shape)) for shape in MODEL.shapes]
    batches = like((CHUNK, LEARNER.num_steps, LEARNER.batch_size), jnp.int32)
    start = time.perf_counter()
    _init.lower(jax.random.key(0), np.uint32(0), model=MODEL).compile()
    arguments = like(x.shape), like(y.shape, jnp.int32), layers, batches
    fit_compiled.lower(*arguments, model=MODEL, learner=LEARNER, num_snapshots=0).compile()
    return time.perf_counter() - start


def engine_seconds(x, y):
    start = time.perf_counter()
    trained = train(MODEL, LEARNER, x, y, seed=0, num_networks=MODELS)
    seconds = time.perf_counter() - start
    right = MODEL.predict([jnp.asarray(p[0]) for p in trained.params], x).argmax(-1) == y
    assert right[trained.membership[0]].mean() > 0.99
    return seconds


def matmul_rates():
    """Products to time, by name: a callable and its FLOPs; one product a device, and one on the default device."""
    mesh = jax.make_mesh((num_devices(),), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    split = PartitionSpec("d")
    each = jax.jit(
        jax.shard_map(jnp.matmul, mesh=mesh, in_specs=(split, split), out_specs=split, check_vma=False)
    )
    rng, products = np.random.default_rng(0), {}
    for size, count in ((256, 64), (512, 16), (1024, 4), (2048, 1)):
        stack = rng.normal(size=(num_devices() * count, size, size)).astype(np.float32)
        a = jax.device_put(stack, jax.NamedSharding(mesh, split))
        products[f"{size}-each"] = (each, a, 2.0 * size**3 * len(stack))
        one = jnp.asarray(stack[0])
        products[f"{size}-one"] = (jax.jit(jnp.matmul), one, 2.0 * size**3)
    return products


def best_rate(products):
    """FLOP/s of the fastest product."""
    best = 0.0
    for product, a, flops in products.values():
        product(a, a).block_until_ready()
        for _ in range(5):
            start = time.perf_counter()
            product(a, a).block_until_ready()
            best = max(best, flops / (time.perf_counter() - start))
    return best


def torch_seconds(x, y):
    """Seconds of a plain PyTorch loop over all networks, as it comes and with the better number of threads.

    From a few hundred steps of one network; None without torch.
    """
    try:
        import torch
    except ImportError:
        return None
    features, targets = torch.from_numpy(x), torch.from_numpy(y).long()
    by_itself, found = torch.get_num_threads(), []
    for threads in (by_itself, 1):
        torch.set_num_threads(threads)
        layers = torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        model = torch.nn.Sequential(*layers)
        step = torch.optim.SGD(model.parameters(), lr=LEARNER.learning_rate, momentum=0.9)
        members = torch.randperm(POOL)[: POOL // 2]
        # The first steps warm up.
        for count in (20, TORCH_STEPS):
            start = time.perf_counter()
            for i in range(count):
                if i % 10 == 0:
                    order = members[torch.randperm(len(members))]
                rows = order[i % 10 * 100 :][:100]
                step.zero_grad()
                torch.nn.functional.cross_entropy(model(features[rows]), targets[rows]).backward()
                step.step()
            seconds = time.perf_counter() - start
        found.append(seconds / TORCH_STEPS * LEARNER.num_steps * MODELS)
    torch.set_num_threads(by_itself)
    return found[0], min(found)


def main():
    num_devices()
    x, y = data()
    check(x, y)
    compiling = compile_seconds(x, y)
    train(MODEL, LEARNER, x, y, seed=0, num_networks=CHUNK)
    products = matmul_rates()
    # In turns, so that a busy moment of the machine meets all of them; the best of each counts.
    rounds = [(best_rate(products), engine_seconds(x, y), torch_seconds(x, y)) for _ in range(REPEATS)]
    rates, seconds, torch = zip(*rounds, strict=True)
    engine, rate = min(seconds), max(rates)
    plain, best = (None, None) if torch[0] is None else (min(t) / engine for t in zip(*torch, strict=True))
    entries = [(a - 1) * b for a, b in MODEL.shapes]
    steps = MODELS * LEARNER.num_steps * LEARNER.batch_size
    result = {
        "benchmark": "ensemble",
        "models_per_second": MODELS / engine,
        "matmul_fraction": 6 * sum(entries) * steps / engine / rate,
        "matmul_fraction_needed": (6 * sum(entries) - 2 * entries[0]) * steps / engine / rate,
        "matmul_gflops": rate / 1e9,
        "compile_seconds": compiling,
        "torch_ratio": plain,
        "torch_ratio_best": best,
        "device": f"{jax.devices()[0].device_kind} x {num_devices()}",
        "models": MODELS,
        "repeats": REPEATS,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

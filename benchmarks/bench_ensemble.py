"""Script: 64 networks 128-64-10 on 1000 points each, 2000 momentum steps of batch 100, through the project's engine.

Rates are taken in one run: the engine, the matmul rate of the machine, and a plain PyTorch loop where torch is
installed (fewer networks and steps, scaled up). The share of the matmul rate counts three products of every layer for
each step (forward, gradient of the weights, gradient of the inputs), the usual convention; ``matmul_fraction_needed``
leaves out the gradient of the first layer's inputs, which nobody needs. All that ``train_chunk`` does on the host is
timed, too; compiling is timed apart.
"""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import MLP
from mis.training import Learner, num_devices, train_chunk

MODELS, POOL, DIM, WIDTH, CLASSES, STEPS, BATCH = 64, 2000, 128, 64, 10, 2000, 100


def best(run, repeats):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def matmul_rate():
    """Return the best float32 rate in flop/s over shapes and over ways to use the cores."""
    rates = []
    for size in (512, 1024, 2048):
        a = jnp.asarray(np.random.default_rng(0).normal(size=(size, size)), jnp.float32)
        product = jax.jit(lambda a: a @ a)
        product(a).block_until_ready()
        rates.append(2.0 * size**3 / best(lambda a=a, product=product: product(a).block_until_ready(), 10))
    return max(rates)


def torch_models_per_second(features, targets, models=1, steps=200):
    try:
        import torch
    except ImportError:
        return None
    x, y = torch.from_numpy(features), torch.from_numpy(targets).long()

    def train():
        for _ in range(models):
            network = torch.nn.Sequential(
                torch.nn.Linear(DIM, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, CLASSES)
            )
            optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
            members = torch.randperm(len(x))[: len(x) // 2]
            for step in range(steps):
                if step % 10 == 0:
                    order = members[torch.randperm(len(members))]
                rows = order[BATCH * (step % 10) : BATCH * (step % 10 + 1)]
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
                optimiser.step()

    train()
    return models * steps / STEPS / best(train, 3)


def main():
    num_devices()
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, DIM)) * 0.3
    targets = rng.integers(0, CLASSES, POOL).astype(np.int32)
    features = (centres[targets] + rng.normal(size=(POOL, DIM))).astype(np.float32)
    model = MLP(num_inputs=DIM, num_classes=CLASSES, width=WIDTH)
    learner = Learner(optimiser="momentum", rate=0.05, steps=STEPS, batch=BATCH)

    def train():
        return train_chunk(model, learner, features, targets, seed=0, indices=np.arange(MODELS))

    start = time.perf_counter()
    params = train().params
    first_seconds = time.perf_counter() - start
    predicted = np.asarray(jax.vmap(model.predict, (0, None))(params, features)).argmax(-1)
    assert (predicted == targets).mean() > 0.9, "the networks did not learn"
    rate = matmul_rate()
    seconds = best(train, 3)
    rate = max(rate, matmul_rate())
    products = DIM * WIDTH + WIDTH * CLASSES
    torch_rate = torch_models_per_second(features, targets)
    result = {
        "benchmark": "ensemble",
        "models_per_second": MODELS / seconds,
        "matmul_fraction": 6.0 * products * BATCH * STEPS * MODELS / seconds / rate,
        "matmul_fraction_needed": (6.0 * products - 2.0 * DIM * WIDTH)
        * BATCH
        * STEPS
        * MODELS
        / seconds
        / rate,
        "matmul_gflops": rate / 1e9,
        "compile_seconds": first_seconds - seconds,
        "torch_ratio": None if torch_rate is None else MODELS / seconds / torch_rate,
        "device": f"{jax.devices()[0].device_kind} x {jax.local_device_count()}",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

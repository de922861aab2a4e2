"""Script: what training through a quantizer costs beside plain training, and how long GPTQ of a ResNet-8 takes.

``qat``: LeNets for 28 x 28 pixels, batches of 64, Adam, as in ``bench_images.py``. Plain and quantization-aware
networks take short turns; a ratio is the median over the turns of processor times, which other programs on the machine
disturb less than the clock. ``gptq``: one ResNet-8, 32 calibration examples, 2 bits, in seconds of the clock and of
processors: the first time with its compilation, and again.
"""

import json
import os
import statistics
import time

import jax
import numpy as np

from mis.models import LeNet, ResNet8
from mis.quantizers import parse
from mis.training import Compression, Learner, num_devices, train_chunk

NETWORKS, STEPS, POOL, BATCH, TURNS = 8, 15, 512, 64, 3
IMAGES = {"input_shape": (28, 28, 1), "num_classes": 10}
THROUGH = ("uniform-4", "uniform-4-channel", "ternary-50", "dorefa-4", "lsq-4", "mxfp4", "q4_0")


def data():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(POOL, *IMAGES["input_shape"])).astype(np.float32)
    return images, rng.integers(IMAGES["num_classes"], size=POOL)


def seconds(name, x, y):
    """Return the processor time of training LeNets through a quantizer, or plainly."""
    bits = {"activation_bits": 4} if name == "dorefa-4" else {}
    forward = None if name == "plain" else Compression(quantizer=parse(name))
    learner = Learner(learning_rate=3e-3, num_steps=STEPS, batch_size=BATCH, forward=forward)
    begun = time.process_time()
    train_chunk(LeNet(**IMAGES, **bits), learner, x, y, seed=0, indices=np.arange(NETWORKS))
    return time.process_time() - begun


def qat(x, y):
    names = ("plain", *THROUGH)
    for name in names:
        seconds(name, x, y)
    turns = [{name: seconds(name, x, y) for name in names} for _ in range(TURNS)]
    return {
        "benchmark": "qat",
        "model": "lenet",
        "plain_cpu_milliseconds": 1e3 * min(turn["plain"] for turn in turns) / NETWORKS / STEPS,
        "cpu_ratio": {
            name: round(statistics.median(turn[name] / turn["plain"] for turn in turns), 2)
            for name in THROUGH
        },
        "networks": NETWORKS,
        "turns": TURNS,
    }


def gptq(x):
    model, of = ResNet8(**IMAGES), Compression(quantizer=parse("gptq-2-examples-32"))
    layers = jax.block_until_ready(jax.jit(model.initial)(jax.random.key(0)))

    @jax.jit
    def released(layers, examples):
        channels = of.fit(model, layers, examples)
        each = zip(channels, of.parts(model, layers), strict=True)
        return of.joined(model, [channel.apply(part) for channel, part in each])

    found = []
    for _ in range(2):
        begun = time.perf_counter(), time.process_time()
        jax.block_until_ready(released(layers, x[:32]))
        found.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    (first, first_cpu), (again, again_cpu) = found
    return {
        "benchmark": "gptq",
        "model": "resnet-8",
        "seconds": {"first": round(first, 2), "again": round(again, 2)},
        "cpu_seconds": {"first": round(first_cpu, 2), "again": round(again_cpu, 2)},
    }


def main():
    num_devices()
    x, y = data()
    device = f"{jax.devices()[0].device_kind} x {num_devices()}"
    for result in (gptq(x), qat(x, y)):
        # The clock of a busy machine tells little.
        print(json.dumps(result | {"device": device, "load_average": os.getloadavg()[0]}), flush=True)


if __name__ == "__main__":
    main()

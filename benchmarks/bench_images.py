"""Script: how fast an ensemble of networks for images trains, beside plain PyTorch, and where a step's time goes.

32 networks, each on half of a pool of 512 images of 28 x 28 pixels, batches of 64, Adam. Rates are images a second of
all cores together, batches and optimiser included, compilation apart. PyTorch trains the same networks one after
another, once as it comes with a thread a core (``torch``), once as fast as it gets with a process a core
(``torch_best``); without PyTorch both are left out. All three take short turns, so that a busy moment of the machine
meets each of them: a rate is the best over the turns, a ratio the median over the turns of ours to theirs in one turn.
``cpu_ratio`` compares processor time for an image, which other programs on the machine disturb less.

``split`` is the share of a step's time by what XLA computed, from a profile of one network on one core.
"""

import collections
import itertools
import json
import multiprocessing
import os
import pathlib
import re
import statistics
import tempfile
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import LeNet, ResNet8
from mis.training import Learner, memory, num_devices, train_chunk
from mis.training.loops import _compiled_step

NETWORKS, POOL, BATCH, TURNS = 32, 512, 64, 3
IMAGES = {"input_shape": (28, 28, 1), "num_classes": 10}
MODELS = {"lenet": LeNet(**IMAGES), "resnet-8": ResNet8(**IMAGES)}
# Steps of each network in one turn: about two seconds.
STEPS = {"lenet": 20, "resnet-8": 2}

# What an instruction of XLA is, by the name of the operation it comes from, else by its own.
KINDS = {
    "convolution, gradient": r"transpose\(jvp.*conv_general_dilated",
    "convolution": r"conv_general_dilated",
    "matrix product": r"dot_general|^dot",
    "reduction": r"reduce_sum|reduce_max|^reduce",
    "copy, transpose, pad, gather": r"^(transpose|copy|pad|gather|bitcast_(copy|gather|transpose))|gather$",
    "elementwise": r"",
}


def data():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(POOL, *IMAGES["input_shape"])).astype(np.float32)
    return images, rng.integers(IMAGES["num_classes"], size=POOL)


def torch_network(name, aligned=False):
    """Return the same network in PyTorch; a stride starts a pixel earlier than ours unless ``aligned``."""
    from torch import nn

    if name == "lenet":
        convolutions = [
            layer
            for inputs, outputs in ((1, 6), (6, 16))
            for layer in (nn.Conv2d(inputs, outputs, 5, padding=2), nn.MaxPool2d(2), nn.ReLU())
        ]
        sizes = [784, 120, 84, 10]
        linear = [layer for pair in itertools.pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
        return nn.Sequential(*convolutions, nn.Flatten(), *linear[:-1])

    class Block(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            stride = 1 if inputs == outputs else 2
            self.main = nn.Sequential(
                *layer(inputs, outputs, 3, stride), nn.ReLU(), *layer(outputs, outputs, 3, 1)
            )
            self.shortcut = nn.Sequential(*(layer(inputs, outputs, 1, stride) if stride == 2 else ()))

        def forward(self, x):
            return nn.functional.relu(self.main(x) + self.shortcut(x))

    def layer(inputs, outputs, size, stride):
        shifted = aligned and stride == 2 and size == 3
        padding = 0 if shifted else size // 2
        convolution = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        before = (nn.ZeroPad2d((0, 1, 0, 1)),) if shifted else ()
        return *before, convolution, nn.GroupNorm(8, outputs)

    blocks = Block(16, 16), Block(16, 32), Block(32, 64)
    return nn.Sequential(
        *layer(1, 16, 3, 1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )


def check(name):
    """Assert that both networks say the same with the same parameters."""
    import torch

    model, x = MODELS[name], data()[0][:8]
    params = model.init(jax.random.key(0))
    leaves, treedef = jax.tree.flatten(params)
    rng = np.random.default_rng(1)
    params = jax.tree.unflatten(
        treedef, [np.asarray(p) + 0.1 * rng.normal(size=p.shape).astype(np.float32) for p in leaves]
    )
    network = torch_network(name, aligned=True)
    if name == "lenet":
        layers = [params[f"layer{i}"] for i in range(5)]
        # PyTorch flattens channels first.
        first = layers[2]["kernel"].reshape(7, 7, 16, -1).transpose(2, 0, 1, 3).reshape(784, -1)
        layers[2] = layers[2] | {"kernel": first}
        given = [part for layer in layers for part in (layer["kernel"], layer["bias"])]
    else:
        convolutions = [params["stem"]]
        for block in params["blocks"]:
            convolutions += [block[part] for part in ("first", "second", "shortcut") if part in block]
        given = [part for one in convolutions for part in (one["kernel"], *_norm(one))]
        given += [params["head"]["kernel"], params["head"]["bias"]]
    expected = model.apply(params, jnp.asarray(x))
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), given, strict=True):
            order = (3, 2, 0, 1) if value.ndim == 4 else tuple(range(value.ndim))[::-1]
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value.transpose(order))))
        found = network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def _norm(layer):
    return layer["norm"]["gain"], layer["norm"]["bias"]


def torch_seconds(name, networks):
    """Train networks one after another; return the processor time of this process."""
    import torch

    x, y = data()
    x, y = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), torch.from_numpy(y)
    begun = time.process_time()
    for _ in range(networks):
        network = torch_network(name)
        step = torch.optim.Adam(network.parameters(), lr=3e-3)
        members = torch.randperm(POOL)[: POOL // 2]
        for i in range(STEPS[name]):
            if i % (len(members) // BATCH) == 0:
                order = members[torch.randperm(len(members))].reshape(-1, BATCH)
            rows = order[i % len(order)]
            step.zero_grad()
            torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            step.step()
    return time.process_time() - begun


def serve(connection):
    """Train in a process of its own, on one core, what is asked for."""
    import torch

    torch.set_num_threads(1)
    while (asked := connection.recv()) is not None:
        connection.send(torch_seconds(*asked))


def turn(call):
    """Return images a second, and of processor time."""
    begun = time.perf_counter()
    cpu, images = call()
    return images / (time.perf_counter() - begun), images / cpu


def ours(name, x, y):
    images = NETWORKS * STEPS[name] * BATCH
    learner = Learner(learning_rate=3e-3, num_steps=STEPS[name], batch_size=BATCH)
    begun = time.process_time()
    train_chunk(MODELS[name], learner, x, y, seed=0, indices=np.arange(NETWORKS))
    return time.process_time() - begun, images


def plain(name):
    return torch_seconds(name, NETWORKS // 4), NETWORKS // 4 * STEPS[name] * BATCH


def best(name, workers):
    for connection in workers:
        connection.send((name, NETWORKS // 4))
    cpu = sum(connection.recv() for connection in workers)
    return cpu, len(workers) * (NETWORKS // 4) * STEPS[name] * BATCH


def split(name, x, y, steps=20):
    """Return the shares of a step's time by kind of instruction, largest first, and its milliseconds."""
    model = MODELS[name]
    start, step, _ = _compiled_step(model, Learner(learning_rate=3e-3, batch_size=BATCH), None)
    rows = np.random.default_rng(0).integers(POOL, size=(steps, BATCH)).astype(np.int32)
    carry = start(model.initial(jax.random.key(0)))
    x, y = jnp.asarray(x), jnp.asarray(y)
    text = step.lower(carry, x, y, rows[0]).compile().as_text()
    carry = jax.block_until_ready(step(carry, x, y, rows[0]))
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        with memory.kept(), jax.profiler.trace(folder):
            for some in rows:
                carry = step(carry, x, y, some)
            jax.block_until_ready(carry)
        seconds = time.process_time() - begun
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        profile = jax.profiler.ProfileData.from_file(str(path))
    instructions = dict(re.findall(r"^ *(?:ROOT )?%?([\w.-]+) = (.*)$", text, re.MULTILINE))
    spent = collections.Counter()
    for event in (e for plane in profile.planes for line in plane.lines for e in line.events):
        if event.name in instructions:
            spent[_kind(event.name, instructions[event.name])] += event.duration_ns
    total = sum(spent.values())
    return {kind: round(time / total, 3) for kind, time in spent.most_common()}, 1e3 * seconds / steps


def _kind(name, instruction):
    operation = re.search(r'op_name="([^"]*)"', instruction)
    # What XLA fused to copies keeps the name of what it feeds.
    moved = re.match(KINDS["copy, transpose, pad, gather"], name)
    told = name if moved or not operation else operation[1]
    return next(kind for kind, pattern in KINDS.items() if re.search(pattern, told))


def main():
    num_devices()
    x, y = data()
    cores, workers = len(os.sched_getaffinity(0)), []
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: our own rates only.")
    else:
        torch.set_num_threads(cores)
        spawned = multiprocessing.get_context("spawn")
        for _ in range(cores):
            connection, theirs = spawned.Pipe()
            spawned.Process(target=serve, args=(theirs,), daemon=True).start()
            workers.append(connection)
    for name in MODELS:
        calls = {"ours": partial(ours, name, x, y)}
        if workers:
            check(name)
            calls |= {"torch": partial(plain, name), "torch_best": partial(best, name, workers)}
        for call in calls.values():
            call()
        turns = [{who: turn(call) for who, call in calls.items()} for _ in range(TURNS)]
        shares, milliseconds = split(name, x, y)
        result = {
            "benchmark": "images",
            "model": name,
            "images_per_second": {who: round(max(t[who][0] for t in turns)) for who in calls},
            "ratio": {who: _ratio(turns, who, 0) for who in calls if who != "ours"},
            "cpu_ratio": {who: _ratio(turns, who, 1) for who in calls if who != "ours"},
            "step_cpu_milliseconds": milliseconds,
            "split": shares,
            "device": f"{jax.devices()[0].device_kind} x {num_devices()}",
            "networks": NETWORKS,
            "turns": TURNS,
        }
        print(json.dumps(result), flush=True)
    for connection in workers:
        connection.send(None)


def _ratio(turns, who, which):
    return statistics.median(turn["ours"][which] / turn[who][which] for turn in turns)


if __name__ == "__main__":
    main()

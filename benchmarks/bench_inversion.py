"""Script: seconds of one gradient inversion, many together, against the same attack one at a time in PyTorch.

Both run 100 iterations of L-BFGS on released gradients of the LeNet with sigmoids, labels known, from the same dummies
with the same line search; objectives are compared after equal numbers of iterations. Needs PyTorch: ``python -m pip
install torch``, which takes whichever number of threads is faster for it. Wall seconds are those of an idle machine
only; processor seconds add up all cores.
"""

import argparse
import json
import os
import time

import jax
import numpy as np

from mis import models
from mis.attacks import inversion
from mis.attacks.inversion import LBFGS

MEMORY, ARMIJO, CURVATURE, MOST_TRIALS = 20, 1e-4, 0.9, 25
# After so many iterations objectives must agree so well; later rounding in float32 has its own way.
COMPARED, RTOL = 10, 0.02


def problems(num, side, channels):
    model = models.LeNet(input_shape=(side, side, channels), num_classes=10, activation="sigmoid")
    drawn = [model.initial(key) for key in jax.random.split(jax.random.key(0), num)]
    layers = [np.stack(layer) for layer in zip(*drawn, strict=True)]
    rng = np.random.default_rng(0)
    images, dummies = rng.uniform(size=(2, num, 1, *model.input_shape)).astype(np.float32)
    labels = rng.integers(10, size=(num, 1))
    gradient = inversion.shared_gradient(model, layers, images, labels)
    return model, layers, gradient, dummies, labels


def together(model, layers, gradient, dummies, labels, steps):
    target = inversion.stack([inversion.naive([g[i] for g in gradient]) for i in range(len(dummies))])
    method = LBFGS(steps=steps, memory=MEMORY, tolerance=1e-30)
    return inversion.invert(model, layers, target, dummies, labels=labels, method=method).trace


def one_by_one(model, layers, gradient, dummies, labels, steps):
    """Attack one problem in PyTorch; return the objective after each iteration."""
    import torch
    from torch.nn import functional

    height, width, channels = model.input_shape
    matrices = [torch.tensor(layer, requires_grad=True) for layer in layers]
    goal = [torch.tensor(g) for g in gradient]
    size = sum(float(g.square().sum()) for g in goal)
    label = torch.tensor(labels)

    def padded(x, stride):
        ends = []
        for side in (x.shape[3], x.shape[2]):
            total = max((-(-side // stride) - 1) * stride + 5 - side, 0)
            ends += [total // 2, total - total // 2]
        return functional.pad(x, ends)

    def objective(flat):
        x = flat.reshape(1, height, width, channels).permute(0, 3, 1, 2)
        for matrix, stride in zip(matrices[:-1], (2, 2, 1), strict=True):
            kernel = matrix[:-1].reshape(5, 5, x.shape[1], 12).permute(3, 2, 0, 1)
            x = torch.sigmoid(functional.conv2d(padded(x, stride), kernel, matrix[-1], stride=stride))
        flat_features = x.permute(0, 2, 3, 1).reshape(1, -1)
        loss = functional.cross_entropy(flat_features @ matrices[-1][:-1] + matrices[-1][-1], label)
        found = torch.autograd.grad(loss, matrices, create_graph=True)
        return sum((f - g).square().sum() for f, g in zip(found, goal, strict=True)) / size

    def evaluated(point):
        point = point.detach().requires_grad_()
        value = objective(point)
        return float(value.detach()), torch.autograd.grad(value, point)[0]

    point = torch.tensor(dummies).ravel()
    value, slope = evaluated(point)
    pairs, trace = [], [value]
    while len(trace) <= steps:
        direction = -_newton(slope, pairs)
        down = float(slope @ direction)
        low, high, length = 0.0, np.inf, 1.0
        for _ in range(MOST_TRIALS):
            trial = point + length * direction
            ahead, turned = evaluated(trial)
            if ahead > value + ARMIJO * length * down:
                high = length
            elif float(turned @ direction) < CURVATURE * down:
                low = length
            else:
                break
            length = 2 * length if np.isinf(high) else (low + high) / 2
        if float((trial - point) @ (turned - slope)) <= 0:
            # As far as float32 goes.
            break
        pairs = [*pairs, (trial - point, turned - slope)][-MEMORY:]
        point, value, slope = trial, ahead, turned
        trace.append(value)
    return np.array(trace + trace[-1:] * (steps + 1 - len(trace)))


def _newton(slope, pairs):
    """Return the direction of L-BFGS by its two loops, scaled as optax does."""
    if not pairs:
        return slope * min(1.0, 1 / float(slope.norm()))
    left, weights = slope.clone(), []
    for moved, turned in reversed(pairs):
        weights.append(float(moved @ left) / float(moved @ turned))
        left -= weights[-1] * turned
    moved, turned = pairs[-1]
    left *= float(moved @ turned) / float(turned @ turned)
    for (moved, turned), weight in zip(pairs, reversed(weights), strict=True):
        left += (weight - float(turned @ left) / float(moved @ turned)) * moved
    return left


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--alone", type=int, default=4, help="problems that PyTorch works on")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    import torch

    given = problems(asked.batch, asked.side, asked.channels)
    model = given[0]
    together(*given, asked.steps)
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    begun = {name: clock() for name, clock in clocks.items()}
    ours = together(*given, asked.steps)
    seconds = {name: (clock() - begun[name]) / asked.batch for name, clock in clocks.items()}
    theirs_seconds = {}
    for threads in asked.threads:
        torch.set_num_threads(threads)
        one_by_one(model, *_one(0, *given), 5)
        begun = {name: clock() for name, clock in clocks.items()}
        for i in range(asked.alone):
            theirs = one_by_one(model, *_one(i, *given), asked.steps)
            np.testing.assert_allclose(ours[i, : COMPARED + 1], theirs[: COMPARED + 1], rtol=RTOL)
        theirs_seconds[threads] = {
            name: (clock() - begun[name]) / asked.alone for name, clock in clocks.items()
        }
    result = {
        "benchmark": "inversion",
        "batch": asked.batch,
        "image": [asked.side, asked.side, asked.channels],
        "iterations": asked.steps,
        "seconds": seconds,
        "pytorch_seconds_by_threads": theirs_seconds,
        "ratio": {name: min(t[name] for t in theirs_seconds.values()) / seconds[name] for name in clocks},
        "cores": len(os.sched_getaffinity(0)),
    }
    print(json.dumps(result))


def _one(i, model, layers, gradient, dummies, labels):  # noqa: ARG001
    return [layer[i] for layer in layers], [g[i] for g in gradient], dummies[i], labels[i]


if __name__ == "__main__":
    main()

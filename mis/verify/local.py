"""Claims about M-estimators: the influence function and local asymptotics of what is released."""

import math

import numpy as np
from scipy import optimize, special, stats

from mis import quantizers, theory
from mis.verify.registry import LEVEL, claim

__all__: list[str] = []

LOCAL = "van der Vaart (1998), theorems 5.23 and 7.10; theory.local; notebook 7, Local asymptotics"
SANDWICH = "van der Vaart (1998), theorem 5.23; theory.sandwich; notebook 7, Local asymptotics"


@claim(
    "local",
    "local",
    "Local asymptotics of quantized weights against the certified product law",
    LOCAL,
    {
        "sign": {"quantizer": "sign", "n": 400, "method": "diagonal"},
        "sign-cells": {"quantizer": "sign", "n": 400, "method": "cells"},
        "ternary-50": {"quantizer": "ternary-50", "n": 400, "method": "diagonal"},
        "uniform-2": {"quantizer": "uniform-2", "n": 400, "method": "diagonal"},
    },
    relation="~",
)
def local(quantizer, n, method):
    dim = 60
    # Within three standard deviations of the estimate around zero, so that some weights are near an edge.
    mean = np.linspace(-3, 3, dim) / math.sqrt(n)
    spec = quantizers.parse(quantizer)
    edges = np.asarray(spec.fit(mean).edges, float)
    cells = [theory.Cells(edges=tuple(edges), mean=m) for m in mean.tolist()]
    psi = np.random.default_rng(0).standard_normal((2000, dim))
    predicted = theory.local(
        influence=psi,
        covariance=np.ones(dim),
        mean=mean,
        quantizer=spec,
        n=n,
        method=method,
        num_samples=20_000,
        level=LEVEL,
    )
    return predicted, theory.product(cells, n, tolerance=1e-3), 0.03


@claim(
    "local",
    "local-linear",
    "Full covariance without correlation: the linear score keeps what the diagonal does",
    LOCAL,
    {"": {"quantizer": "uniform-3", "n": 100}},
)
def local_linear(quantizer, n):
    rng, dim = np.random.default_rng(3), 12
    mean, psi = rng.normal(size=dim) / math.sqrt(n), rng.standard_normal((500, dim))
    common = {"influence": psi, "mean": mean, "quantizer": quantizers.parse(quantizer), "n": n}
    full, diagonal = (theory.local(covariance=v, **common).value for v in (np.eye(dim), np.ones(dim)))
    return full, diagonal, 1e-9


@claim(
    "local",
    "correlated-signs",
    "Correlated signs: the best linear score's information from the arcsine law of their covariance",
    f"Sheppard (1899); {LOCAL}",
    {"": {"rho": 0.6, "dim": 4, "n": 200}},
)
def correlated_signs(rho, dim, n):
    cov = np.full((dim, dim), rho) + (1 - rho) * np.eye(dim)
    psi = np.random.default_rng(5).standard_normal((500, dim))
    found = theory.local(
        influence=psi, covariance=cov, mean=np.zeros(dim), quantizer=quantizers.Sign(), n=n, method="linear"
    )
    # Slope of a mean sign in the mean of its weight, squared in units of the signs' covariance.
    slope = 2 * stats.norm.pdf(0) * psi / math.sqrt(n)
    information = np.einsum("ij,jk,ik->i", slope, np.linalg.inv(2 / math.pi * np.arcsin(cov)), slope)
    return found.value, float(np.mean(2 * stats.norm.cdf(np.sqrt(information) / 2) - 1)), 1e-8


@claim(
    "local",
    "two-signs",
    "Local asymptotics of two correlated signs against the exact advantage, by orthant probabilities",
    LOCAL,
    {"alike": {"rho": 0.5, "n": 400}, "opposed": {"rho": -0.7, "n": 400}},
    relation="~",
)
def two_signs(rho, n):
    cov = np.array([[1.0, rho], [rho, 1.0]])
    z = np.random.default_rng(6).multivariate_normal(np.zeros(2), cov, 4000)
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    total = 0.0
    for sign in signs:
        flipped = cov * np.outer(sign, sign)
        given = stats.multivariate_normal(np.zeros(2), flipped * (n - 1)).cdf(z * sign)
        total += np.abs(given - stats.multivariate_normal(np.zeros(2), flipped).cdf(np.zeros(2))).mean() / 2
    found = theory.local(
        influence=z,
        covariance=cov,
        mean=np.zeros(2),
        quantizer=quantizers.Sign(),
        n=n,
        method="cells",
        num_samples=400_000,
        level=LEVEL,
    )
    return found, float(total), 0.01


@claim(
    "local",
    "influence",
    "Influence function: what a little more weight on one example does to a logistic fit",
    SANDWICH,
    {"0": {"example": 0}, "7": {"example": 7}},
)
def influence(example):
    rng, num = np.random.default_rng(7), 300
    x = rng.standard_normal((num, 2))
    y = rng.random(num) < special.expit(x @ [0.5, -1.0])

    def fit(weight):
        def gradient(theta):
            return weight @ ((special.expit(x @ theta) - y)[:, None] * x) / num

        return optimize.root(gradient, np.zeros(2), tol=1e-14).x

    more = np.eye(num)[example] * 1e-4
    theta, moved = fit(np.ones(num)), (fit(1 + more) - fit(1 - more)) / 2e-4 * num
    p = special.expit(x @ theta)
    found = theory.sandwich((p - y)[:, None] * x, (x * (p * (1 - p))[:, None]).T @ x / num)
    return float(found.influence[example, 0]), float(moved[0]), 1e-6


@claim(
    "local",
    "linear-term",
    "The likelihood ratio's linear term in gradients: psi V^-1 x = -g G^-1 H x",
    SANDWICH,
    {"": {"dim": 5}},
)
def linear_term(dim):
    rng = np.random.default_rng(8)
    root, gradients, x = rng.normal(size=(dim, dim)), rng.normal(size=(50, dim)), rng.normal(size=dim)
    hessian, centred = root @ root.T + np.eye(dim), gradients - gradients.mean(axis=0)
    found = theory.sandwich(gradients, hessian)
    by_gradients = -centred[0] @ np.linalg.solve(centred.T @ centred / 50, hessian @ x)
    return float(found.influence[0] @ np.linalg.solve(found.covariance, x)), float(by_gradients), 1e-9

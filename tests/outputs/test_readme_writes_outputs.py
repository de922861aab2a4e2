"""The lines of PyTorch in the README write what ``mis attack`` reads."""

import contextlib
import pathlib
import re
import sys
import types

import numpy as np
import pytest

from mis.cli import main

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
[LINES] = [
    code
    for code in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    if "import numpy as np, torch" in code
]


def written(names, tmp_path, monkeypatch, capsys):
    """Write outputs by the lines of the README, then attack them."""
    monkeypatch.chdir(tmp_path)
    exec(LINES, names)
    return names["write_outputs"], lambda: (
        main(["attack", "outputs.npz", "--attacks", "lira,rmia,loss"]),
        capsys.readouterr().out,
    )[1]


class Array(np.ndarray):
    """An array with the one method of tensors that the lines use."""

    def numpy(self):
        return np.asarray(self)


class Nearest:
    """A network that knows its training examples by heart: the nearest one's class, sure where it is near."""

    def eval(self):
        return self

    def __call__(self, x):
        distance = np.square(x[:, None] - self.x[None]).sum(axis=-1)
        nearest = distance.argmin(axis=1)
        return (np.eye(3)[self.y[nearest]] * (5 - distance.min(axis=1))[:, None]).view(Array)


def test_with_arrays_in_place_of_tensors(tmp_path, monkeypatch, capsys, rng):
    stand_in = types.ModuleType("torch")
    stand_in.rand = lambda *shape: rng.random(shape).view(Array)
    # SciPy asks for it where a module torch is loaded.
    stand_in.Tensor = type("Tensor", (), {})
    stand_in.no_grad = contextlib.nullcontext
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    write, attacked = written({}, tmp_path, monkeypatch, capsys)

    def train(network, x, y):
        network.x, network.y = x, y

    x, y = rng.normal(size=(80, 4)).view(Array), rng.integers(3, size=80).view(Array)
    write(Nearest, train, x, y, networks=16)
    with np.load("outputs.npz") as given:
        assert given["logits"].shape == (16, 80, 3)
    # Members are 0 away from themselves: LiRA finds nearly all of them.
    row = next(line for line in attacked().splitlines() if line.startswith("lira"))
    assert float(row.split()[1]) > 0.8


def test_with_torch(tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch", reason="runs the lines of the README in PyTorch")
    write, attacked = written({}, tmp_path, monkeypatch, capsys)
    torch.manual_seed(0)

    def train(network, x, y):
        optimiser = torch.optim.Adam(network.parameters(), lr=0.05)
        for _ in range(60):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(x), y).backward()
            optimiser.step()

    x, y = torch.randn(80, 20), torch.randint(3, (80,))
    write(lambda: torch.nn.Linear(20, 3), train, x, y, networks=16)
    row = next(line for line in attacked().splitlines() if line.startswith("lira"))
    assert float(row.split()[1]) > 0.2

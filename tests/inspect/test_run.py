"""What is said of released files against theory, enumeration and other routes to the same number."""

import csv
import json
import math

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy import stats

from mis import quantizers, theory
from mis.cli import main
from mis.inspect import inspect
from mis.numerics.checks import InvalidInput

NAMES = [
    "sign",
    "ternary-50",
    "uniform-3",
    "uniform-4-channel",
    "uniform-4-asymmetric",
    "codebook-8",
    "power-of-two-3",
]
NUM_RETRAININGS = 5


class Files:
    """Released files of one small network, and its retrainings."""

    def __init__(self, folder):
        rng = np.random.default_rng(5)
        self.folder = folder
        self.weights = {"a": rng.normal(size=(40, 24)) * 0.1, "b": rng.normal(size=(24, 30))}
        scale = {name: np.abs(rng.normal(size=w.shape)) * 0.03 for name, w in self.weights.items()}
        self.others = [
            {name: w + scale[name] * rng.normal(size=w.shape) for name, w in self.weights.items()}
            for _ in range(NUM_RETRAININGS - 1)
        ]
        self.full = self.write("full", self.weights)
        self.spread = [self.write(f"other-{i}", weights) for i, weights in enumerate(self.others)]

    def write(self, name, weights):
        path = self.folder / f"{name}.npz"
        np.savez(path, **weights)
        return path

    def released(self, name):
        quantizer = quantizers.parse(name)
        return self.write(name, {key: np.asarray(quantizer(w)) for key, w in self.weights.items()})

    def spread_of(self, name):
        return np.std([self.weights[name], *(other[name] for other in self.others)], axis=0, ddof=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("inspect"))


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_theory(files, name):
    found = inspect(files.released(name), full=files.full, spread=files.spread, full_advantage=0.6, seed=1)
    (release,), quantizer = found.releases, quantizers.parse(name)
    weights, spread = (
        list(x) for x in zip(*((w, files.spread_of(k)) for k, w in files.weights.items()), strict=True)
    )
    assert release.error == pytest.approx(theory.weight_error(weights, quantizer), rel=1e-5)
    assert release.mean(lambda row: row.entropy) == pytest.approx(
        theory.code_entropy(weights, quantizer), rel=1e-6
    )
    retained = theory.retained_information(weights, spread, quantizer)
    # The released file does not hold the edges: those of a ternary grid are seen between the weights, not exactly.
    assert release.information.value == pytest.approx(retained.value, abs=2e-3 if "ternary" in name else 1e-5)
    assert release.information.lower == pytest.approx(retained.lower, abs=2e-3)
    assert release.information.kind == "bootstrap"
    predicted = theory.predicted_advantage(release.information, 0.6)
    assert found.predicted == (predicted,)
    assert predicted.kind == "asymptotic"
    if name != "ternary-50":
        assert release.mean(lambda row: row.outside) == 0


def test_information_of_blocks(tmp_path, rng):
    """GGUF's Q4_0 against a sum over the cells of each block, written out."""
    weights = rng.normal(size=(6, 64)).astype(np.float32)
    others = [(weights + 0.2 * rng.normal(size=weights.shape)).astype(np.float32) for _ in range(3)]
    kind = gguf.GGMLQuantizationType.Q4_0
    blocks = gguf.quantize(weights, kind)
    write_gguf(tmp_path / "q.gguf", {"w": (blocks, kind)})
    save_file({"w": weights}, tmp_path / "full.safetensors")
    for i, other in enumerate(others):
        save_file({"w": other}, tmp_path / f"{i}.safetensors")
    (release,) = inspect(
        tmp_path / "q.gguf",
        full=tmp_path / "full.safetensors",
        spread=[tmp_path / f"{i}.safetensors" for i in range(3)],
    ).releases
    scales = blocks.reshape(-1, 18)[:, :2].copy().view(np.float16).astype(np.float64)
    levels = np.sort(scales * np.arange(-8, 8), axis=1)
    edges = (levels[:, 1:] + levels[:, :-1]) / 2
    spread = np.std([weights, *others], axis=0, ddof=1, dtype=np.float64).reshape(-1, 32)
    z = (edges[:, None, :] - weights.reshape(-1, 32, 1)) / spread[..., None]
    mass = np.diff(stats.norm.cdf(z), prepend=0, append=1)
    slope = np.diff(stats.norm.pdf(z), prepend=0, append=0)
    shares = np.where(mass > 1e-12, slope**2 / np.maximum(mass, 1e-300), 0).sum(axis=-1)
    assert release.information.value == pytest.approx(shares.mean(), abs=1e-5)
    (row,) = release.rows
    assert (row.quantizer, row.per, row.bits, row.stored) == ("Q4_0", "group of 32", 4.5, 4.5)
    decoded = gguf.dequantize(blocks, kind)
    assert row.error == pytest.approx(np.square(decoded - weights).sum() / np.square(weights).sum(), rel=1e-5)
    assert row.zeros == (decoded == 0).mean()
    nearest = np.abs(levels[:, None, :] - weights.reshape(-1, 32, 1)).min(axis=-1)
    away = np.abs(decoded.reshape(-1, 32) - weights.reshape(-1, 32)) > nearest + 1e-5
    assert row.outside == pytest.approx(away.mean(), abs=2 / weights.size)


def write_gguf(path, tensors):
    writer = gguf.GGUFWriter(path, "test")
    for name, (array, kind) in tensors.items():
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_many_weights_are_sampled_and_the_interval_grows(files, monkeypatch):
    path = files.released("uniform-3")
    whole = inspect(path, full=files.full, spread=files.spread).releases[0].information
    monkeypatch.setattr("mis.inspect.information.EDGES", 0)
    monkeypatch.setattr("mis.inspect.information.FEWEST", 100)
    errors, covered = [], 0
    for seed in range(40):
        part = inspect(path, full=files.full, spread=files.spread, seed=seed).releases[0].information
        assert part.width > 2 * whole.width
        errors.append(part.value - whole.value)
        covered += part.lower <= whole.value <= part.upper
    # Unbiased, within five standard errors; and 95% intervals that cover.
    assert abs(np.mean(errors)) < 5 * np.std(errors) / math.sqrt(len(errors))
    assert covered >= 32


def test_the_threshold_of_pruning_is_seen(files):
    (release,) = inspect(files.released("prune-70"), full=files.full, spread=files.spread).releases
    expected = theory.retained_information(
        list(files.weights.values()),
        [files.spread_of(name) for name in files.weights],
        quantizers.parse("prune-70"),
    )
    assert release.information.value == pytest.approx(expected.value, abs=2e-3)
    # Without the weights before, what passes a threshold that does not show is not known.
    (release,) = inspect(files.released("prune-70"), spread=files.spread).releases
    assert release.information is None


def test_without_the_weights_before(files):
    """The centre is the mean of the retrainings; a threshold that levels do not tell stays unknown."""
    (release,) = inspect(files.released("uniform-3"), spread=files.spread).releases
    others = {name: np.array([other[name] for other in files.others]) for name in files.weights}
    shares = []
    for name, weights in files.weights.items():
        grid = quantizers.parse("uniform-3").fit(weights)
        shares.append(grid.information(others[name].mean(axis=0), others[name].std(axis=0, ddof=1)).ravel())
    assert release.information.value == pytest.approx(np.concatenate(shares).mean(), abs=1e-5)
    assert release.rows[0].error is None
    assert inspect(files.released("ternary-50"), spread=files.spread).releases[0].information is None
    (row,) = inspect(ternary_rows(files), spread=files.spread).releases[0].rows
    assert (row.quantizer, row.per, row.information) == ("ternary", "row", None)


def ternary_rows(files):
    """Write one tensor with a ternary grid of its own for each row."""
    rows = np.stack([np.asarray(quantizers.parse("ternary-50")(row)) for row in files.weights["a"]])
    return files.write("rows", {"a": rows})


def test_full_precision_passes_all(files):
    (release,) = inspect(files.full, full=files.full, spread=files.spread).releases
    assert (release.information.lower, release.information.value) == (1, 1)
    assert release.error == 0


def test_codes_that_follow_no_order_have_no_cells(files, rng):
    grid = quantizers.parse("uniform-3").fit(files.weights["b"])
    levels = np.asarray(grid.levels)
    step = levels[1] - levels[0]
    dithered = {"b": np.asarray(grid.apply(files.weights["b"] + step * (rng.random((24, 30)) - 0.5)))}
    (release,) = inspect(files.write("dithered", dithered), full=files.full, spread=files.spread).releases
    (row,) = release.rows
    assert row.outside > 0.1
    assert row.information is None
    assert "do not follow the order" in row.note


def test_a_tensor_of_one_value(tmp_path, rng):
    """All zero it tells nothing; left as it was it tells all that it can."""
    weights = {"w": rng.normal(size=(8, 4)), "gain": np.ones(4)}
    moved = {name: w + 0.1 * rng.normal(size=w.shape) for name, w in weights.items()}
    for name, arrays in (
        ("full", weights),
        ("moved", moved),
        ("zero", {"w": np.zeros((8, 4)), "gain": np.ones(4)}),
    ):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    (release,) = inspect(
        tmp_path / "zero.npz", full=tmp_path / "full.npz", spread=[tmp_path / "moved.npz"]
    ).releases
    assert [row.information.value for row in release.rows] == [0.0, 1.0]
    (release,) = inspect(tmp_path / "zero.npz").releases
    assert [row.quantizer for row in release.rows] == ["constant", "constant"]


@pytest.mark.parametrize(("many", "few"), [(21, 7), (9, 3)])
def test_nested_releases_are_free(files, many, few):
    """Three cells in one: edges at odd multiples of half a step, and at every third of them."""
    fine, coarse = (files.write(str(count), on_grid(files.weights, count)) for count in (many, few))
    found = inspect(fine, coarse, full=files.full, spread=files.spread, full_advantage=0.5)
    together = found.together
    assert together.inside == {(0, 1): True, (1, 0): False}
    # Edges of a ternary grid are only seen between the weights: as good as those of the other.
    rounding = 1e-9 if few > 3 else 1e-3
    assert together.information.value == pytest.approx(found.releases[0].information.value, abs=rounding)
    assert together.entropy == pytest.approx(found.releases[0].mean(lambda row: row.entropy), abs=1e-12)
    assert together.apart == 0
    assert "which tells nothing more" in " ".join(found.table().split())


def on_grid(weights, count):
    """Return weights at the middles of ``count`` cells on so many standard deviations; the outermost are open."""
    released = {}
    for name, w in weights.items():
        step = (7 if count % 7 == 0 else 6) * w.std() / count
        codes = np.clip(np.rint(w / step), -(count // 2), count // 2)
        released[name] = codes * step
    return released


def test_releases_that_are_not_nested_add_up(files):
    one, other = files.released("uniform-3"), files.released("uniform-4-asymmetric")
    found = inspect(one, other, full=files.full, spread=files.spread)
    together = found.together
    assert together.inside == {(0, 1): False, (1, 0): False}
    assert together.information.value > max(release.information.value for release in found.releases)
    # By all the edges of both.
    shares, joint = [], []
    for name, weights in files.weights.items():
        grids = [quantizers.parse(q).fit(weights) for q in ("uniform-3", "uniform-4-asymmetric")]
        edges = np.sort(np.concatenate([np.asarray(grid.edges, np.float64) for grid in grids]))
        merged = quantizers.Grid(levels=np.arange(len(edges) + 1.0), edges=edges)
        shares.append(merged.information(weights, files.spread_of(name)).ravel())
        pairs = np.stack([np.asarray(grid.codes(weights)).ravel() for grid in grids])
        joint.append((weights.size, stats.entropy(np.unique(pairs, axis=1, return_counts=True)[1], base=2)))
    assert together.information.value == pytest.approx(np.concatenate(shares).mean(), abs=1e-5)
    total = sum(size for size, _ in joint)
    assert together.entropy == pytest.approx(sum(size * bits for size, bits in joint) / total, rel=1e-6)
    assert together.apart == 0
    assert "are not nested" in " ".join(found.table().split())


def test_with_full_precision_all_is_told(files):
    found = inspect(files.released("uniform-3"), files.full, full=files.full, spread=files.spread)
    assert found.together.inside == {(0, 1): False, (1, 0): True}
    assert found.together.information.value == 1


def test_nested_by_their_codes_where_edges_do_not_show(files):
    """Ternary by magnitude: zeros of one are zeros of the other, but its signs tell less than those of sign."""
    found = inspect(files.released("ternary-50"), files.released("ternary-90"), files.released("sign"))
    inside = found.together.inside
    assert not any(inside[pair] for pair in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2)])
    weights = {"w": np.arange(-8.0, 8.0) + 0.5}
    one = files.write("signs", {"w": np.sign(weights["w"])})
    two = files.write("thirds", {"w": np.sign(weights["w"]) * (np.abs(weights["w"]) > 3) * 5})
    assert inspect(one, two).together.inside == {(0, 1): False, (1, 0): False}
    assert inspect(two, two).together.inside == {(0, 1): True, (1, 0): True}


def test_releases_of_other_weights(files, rng):
    other = {name: rng.normal(size=w.shape) * w.std() for name, w in files.weights.items()}
    path = files.write(
        "stranger", {name: np.asarray(quantizers.parse("uniform-4")(w)) for name, w in other.items()}
    )
    found = inspect(files.released("uniform-3"), path)
    assert found.together.apart > 0.2
    assert "no releases of the same weights" in " ".join(found.table().split())


REFUSED = {
    "one file that spreads": ({"spread": ["other-0"]}, "two files that differ at least"),
    "one file twice": ({"spread": ["other-0", "other-0"]}, "got one twice"),
    "the full one again": ({"full": "full", "spread": ["full"]}, "got one twice"),
    "copies": ({"full": "full", "spread": ["copy"]}, "weights that differ"),
    "other names": ({"full": "elsewhere"}, "expected tensors of the names of"),
    "another shape": (
        {"full": "turned"},
        r"tensor a: expected shape \(40, 24\), as released, got \(24, 40\)",
    ),
    "NaN": ({"full": "nan"}, "tensor a: expected finite weights"),
    "codes": ({"full": "codes"}, "tensor a: expected weights that are floats, got int8"),
    "level": ({"level": 1.0}, "level a finite number"),
    "advantage": ({"full_advantage": 1.5}, "full_advantage at most 1"),
    "advantage of nothing": ({"full_advantage": 0.5}, "give the spread"),
    "seed": ({"seed": -1}, "seed an integer >= 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(files, case):
    options, message = REFUSED[case]
    a = files.weights["a"]
    files.write("copy", files.weights)
    files.write("elsewhere", {"c": a})
    files.write("turned", {"a": a.T})
    files.write("nan", {"a": np.where(a == a.max(), np.nan, a)})
    files.write("codes", {"a": a.astype(np.int8)})
    options = {
        key: [files.folder / f"{name}.npz" for name in value]
        if isinstance(value, list)
        else files.folder / f"{value}.npz"
        if isinstance(value, str)
        else value
        for key, value in options.items()
    }
    with pytest.raises(InvalidInput, match=message):
        inspect(files.released("sign"), **options)


def test_refused_among_releases(files):
    a = files.weights["a"]
    with pytest.raises(InvalidInput, match="expected a file, got none"):
        inspect()
    with pytest.raises(InvalidInput, match="no name of a tensor in all"):
        inspect(files.full, files.write("elsewhere", {"c": a}))
    with pytest.raises(InvalidInput, match="two shapes of a"):
        inspect(files.full, files.write("turned", {"a": a.T}))


def run(capsys, *tokens):
    code = 0
    try:
        main([str(token) for token in tokens])
    except SystemExit as stop:
        code = stop.code or 0
    return code, *capsys.readouterr()


def test_command_line(files, capsys, tmp_path):
    path = files.released("uniform-3")
    written = [f"--json={tmp_path / 'found.json'}", f"--csv={tmp_path / 'found.csv'}"]
    code, printed, errors = run(
        capsys,
        "inspect",
        path,
        "--against",
        files.full,
        "--spread",
        *files.spread,
        "--full-advantage",
        0.6,
        *written,
    )
    assert (code, errors) == (0, "")
    assert max(map(len, printed.splitlines())) <= max(80, len(str(path)))
    found = inspect(path, full=files.full, spread=files.spread, full_advantage=0.6)
    assert printed == found.table(80) + "\n"
    assert "Released as uniform-3 (100% of the weights)." in printed
    assert "a level that theory predicts, no bound" in " ".join(printed.split())
    document = json.loads((tmp_path / "found.json").read_text())
    information = found.releases[0].information
    assert document["releases"][0]["all"]["information"] == {
        "value": information.value,
        "lower": information.lower,
        "upper": information.upper,
        "kind": "bootstrap",
        "level": 0.95,
    }
    assert document["together"] is None
    with open(tmp_path / "found.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["tensor"] for row in rows] == ["a", "b", "all"]
    assert float(rows[2]["predicted"]) == found.predicted[0].value
    assert rows[2]["information_kind"] == "bootstrap"
    code, printed, _ = run(capsys, "inspect", path, files.released("sign"))
    assert code == 0
    assert "nested" in printed


def test_command_line_refuses(files, capsys, tmp_path):
    path = files.released("sign")
    content = path.read_bytes()
    cases = {
        ("inspect", path, "--json", path): "never written to",
        ("inspect", path, "--against", files.full, "--csv", files.full): "never written to",
        ("inspect", files.folder): "ends in .safetensors",
        ("inspect", tmp_path / "none.gguf"): "No such file",
        ("inspect",): "PATH",
        ("inspect", path, "--spread", files.full): "two files that differ",
    }
    for tokens, message in cases.items():
        code, printed, errors = run(capsys, *tokens)
        assert (code, printed) == (2, "")
        assert message in errors
        assert errors.count("\n") == 1
    assert path.read_bytes() == content


def test_names_of_strangers_are_printed_plainly(tmp_path, capsys):
    np.savez(
        tmp_path / "w.npz",
        **{"a\x1b[2Jb": np.ones(3, np.float32), "[red]": np.arange(3), "text": np.array("x")},
    )
    code, printed, _ = run(capsys, "inspect", tmp_path / "w.npz")
    assert code == 0
    assert "a?[2Jb" in printed
    assert "[red]" in printed
    assert "\x1b" not in printed


def test_what_is_not_counted_is_said(files, tmp_path):
    np.savez(tmp_path / "w.npz", w=np.ones((9, 9)) * np.arange(9), table=np.arange(1000))
    said = " ".join(inspect(tmp_path / "w.npz").table().split())
    assert "92.5% of the bytes are not decoded" in said
    assert "int64: indices, or codes that are packed" in said
    found = inspect(files.released("sign"), full=files.write("part", {"a": files.weights["a"]}))
    assert [row.note for row in found.releases[0].rows] == ["", "not among the weights given"]

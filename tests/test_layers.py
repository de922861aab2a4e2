"""The house has floors: imports point down, and theory never meets experiment below floor 3."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1] / "mis"
FLOORS = [
    {"numerics", "results", "version"},
    {"quantizers", "populations", "models", "sparsity"},
    {"theory", "training", "attacks"},
    {
        "ranking",
        "provenance",
        "store",
        "studies",
        "works",
        "figures",
        "verify",
        "inspect",
        "outputs",
        "report",
        "cli",
        "__main__",
    },
]
FLOOR = {name: i for i, names in enumerate(FLOORS) for name in names}


def room(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_rooms(path):
    """Rooms of ``mis`` that a file imports, also inside functions (a late import is an import)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules = [node.module] if node.module != "mis" else [f"mis.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] == "mis" and len(parts) > 1:
                yield parts[1]


FILES = sorted(p for p in ROOT.rglob("*.py") if room(p) != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    here = room(path)
    assert here in FLOOR, f"{here} stands on no floor"
    for there in imported_rooms(path):
        if there == here or there in ("__version__", "Interval"):
            continue
        assert there in FLOOR, f"{path.name} imports unknown {there}"
        same_top_floor = FLOOR[there] == FLOOR[here] and FLOOR[here] in (0, 3)
        assert FLOOR[there] < FLOOR[here] or same_top_floor, f"{here} imports {there}"


@pytest.mark.parametrize("path", sorted((ROOT / "figures").glob("*.py")), ids=lambda p: p.name)
def test_figures_import_no_jax(path):
    names = {n.name.split(".")[0] for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.Import) for n in node.names}  # fmt: skip
    names |= {node.module.split(".")[0] for node in ast.walk(ast.parse(path.read_text()))
              if isinstance(node, ast.ImportFrom) and node.module}  # fmt: skip
    assert "jax" not in names


def test_no_room_without_a_name():
    assert not [p for p in ROOT.rglob("*.py") if p.stem in ("utils", "helpers", "common", "misc")]


TESTS = sorted(pathlib.Path(__file__).parent.rglob("*.py"))


def private(name):
    # How often JAX has compiled has no public name.
    return name.startswith("_") and not name.endswith("_") and name != "_cache_size"


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(ROOT.parent)))
def test_no_test_names_what_is_private(path):
    """What a test needs is public where it stands, or is seen through what is."""
    tree, ours = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mis":
            assert not any(private(alias.name) for alias in node.names), node.module
            ours |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            ours |= {alias.asname or "mis" for alias in node.names if alias.name.split(".")[0] == "mis"}
    found = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        and node.value.id in ours and private(node.attr)
    }  # fmt: skip
    assert not found

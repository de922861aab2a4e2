"""What the package promises to those who install and import it."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import mis

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Where a distribution is imported by another name than its own.
IMPORTED_AS = {"scikit-learn": "sklearn"}


def imported():
    """Top-level names of what the package imports, late imports too, without itself and the standard library."""
    nodes = [node for path in (ROOT / "mis").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"mis"}


def test_run_time_dependencies_are_what_is_imported():
    declared = [re.match(r"[\w-]+", line).group() for line in PROJECT["dependencies"]]
    optional = [re.match(r"[\w-]+", line).group() for line in PROJECT["optional-dependencies"]["formats"]]
    assert {IMPORTED_AS.get(name, name) for name in [*declared, *optional]} == imported()


def test_all_of_it_is_shown_and_there():
    assert set(dir(mis)) == {*mis.__all__, "__version__"}
    for name in dir(mis):
        assert getattr(mis, name) is not None


def test_no_such_attribute():
    with pytest.raises(AttributeError, match="module 'mis' has no attribute 'ranks'"):
        mis.ranks  # noqa: B018


def test_types_come_with_it():
    assert files("mis").joinpath("py.typed").is_file()


@pytest.mark.parametrize("command", ["import mis; dir(mis)", "import mis.cli"])
def test_imports_stay_light(command):
    """No JAX, not even NumPy, before something is computed: `mis --help` answers at once."""
    code = f"import sys; {command}; print(*{{'jax', 'numpy', 'scipy', 'matplotlib', 'sklearn'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not found.stdout.strip()


class Config:
    """As much of pytest's as the hook asks for."""

    def __init__(self, source=pytest.Config.ArgsSource.TESTPATHS, plugins=("xdist",), **options):
        self.args_source = source
        self.option = type("Options", (), {"numprocesses": None, "dist": "no", "usepdb": False, **options})()
        self.pluginmanager = type("Manager", (), {"hasplugin": staticmethod(plugins.__contains__)})


@pytest.fixture
def workers(request, monkeypatch):
    """How many workers the suite's own hook starts, on four cores."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    [conftest] = [p for p in request.config.pluginmanager.get_plugins()
                  if getattr(p, "__file__", None) == str(ROOT / "tests/conftest.py")]  # fmt: skip
    monkeypatch.setattr(conftest, "num_devices", lambda: 4)

    def started(config):
        conftest.pytest_cmdline_main(config)
        return config.option.numprocesses

    return started


def test_the_whole_suite_takes_all_cores(workers):
    assert workers(Config()) == 4


@pytest.mark.parametrize(
    "config",
    [
        Config(source=pytest.Config.ArgsSource.ARGS),
        Config(plugins=()),
        Config(usepdb=True),
    ],
    ids=["a path", "no xdist", "a debugger"],
)
def test_in_one_process_otherwise(workers, config):
    assert workers(config) is None


def test_asked_for_otherwise(workers):
    assert workers(Config(numprocesses=0)) == 0


def test_a_worker_starts_no_workers(workers, monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert workers(Config()) is None


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "mis", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == mis.__version__

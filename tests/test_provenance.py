"""What else decides stored numbers: code, settings, a user's own classes."""

import json
import linecache
import shlex
import textwrap

import jax
import numpy as np
import pytest

from mis import provenance
from mis.cli import main
from mis.provenance import FORMAT, code, made, settings, source_of
from mis.version import version


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of this one."""
    for name in (
        "theory/laws.py",
        "training/learner.py",
        "figures/style.py",
        "cli/rank.py",
        "report/page.py",
        "works/base.py",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    monkeypatch.setattr(provenance.resources, "files", lambda _: tmp_path)
    code.cache_clear()
    yield tmp_path
    code.cache_clear()


def hashes():
    code.cache_clear()
    return code(), code("training"), code("training/learner.py", "theory")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("theory/laws.py", (True, False, True)),
        ("training/learner.py", (True, True, True)),
        ("training/new.py", (True, True, False)),
        ("figures/style.py", (False, False, False)),
        ("cli/rank.py", (False, False, False)),
        ("report/page.py", (False, False, False)),
        ("works/base.py", (False, False, False)),
        ("theory/laws.txt", (False, False, False)),
    ],
)
def test_code_changes_with_what_computes(package, name, changed):
    before = hashes()
    (package / name).write_text("x = 1\n")
    assert tuple(a != b for a, b in zip(before, hashes(), strict=True)) == changed


def test_code_of_two_files_that_swap_contents(package):
    before = hashes()
    first, second = package / "theory/laws.py", package / "training/learner.py"
    contents = first.read_text(), second.read_text()
    first.write_text(contents[1])
    second.write_text(contents[0])
    assert before[0] != hashes()[0]


@pytest.mark.parametrize(
    "context",
    [
        lambda: jax.enable_x64(True),
        lambda: jax.threefry_partitionable(False),
        lambda: jax.default_matmul_precision("bfloat16"),
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: jax.disable_jit(),
    ],
)
def test_settings_of_jax_that_change_numbers(context):
    before = settings()
    with context():
        assert settings() != before
    assert settings() == before


def test_settings_of_the_environment(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    before = settings()
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8 --xla_dump_to=/tmp/x")
    assert settings() == before
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert settings() != before
    monkeypatch.delenv("XLA_FLAGS")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert settings() != before


def imported(path, text, monkeypatch):
    """Write a module and import it anew."""
    import importlib.util

    path.write_text(textwrap.dedent(text))
    linecache.clearcache()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def test_the_source_of_a_users_class(tmp_path, monkeypatch):
    from mis.quantizers import Sign

    assert source_of(Sign) == ""
    text = "from mis.quantizers import Sign\nclass Mine(Sign):\n    factor = {}\n"
    first, again, other = (
        source_of(imported(tmp_path / "mine.py", text.format(factor), monkeypatch).Mine)
        for factor in (1, 1, 2)
    )
    assert first == again != other
    # What a class inherits counts too.
    imported(tmp_path / "base.py", "class Base:\n    factor = 1\n", monkeypatch)
    heir = "from base import Base\nclass Heir(Base):\n    pass\n"
    before = source_of(imported(tmp_path / "heir.py", heir, monkeypatch).Heir)
    imported(tmp_path / "base.py", "class Base:\n    factor = 2\n", monkeypatch)
    assert before != source_of(imported(tmp_path / "heir.py", heir, monkeypatch).Heir)


def test_code_that_cannot_be_read_is_never_the_same():
    space = {"__name__": "prompt"}
    exec("class Typed:\n    pass\n", space)
    assert source_of(space["Typed"]) != source_of(space["Typed"])


def test_what_made_a_file(tmp_path, capsys):
    assert made("audit")["command"] == ""
    np.savez(tmp_path / "a b.npz", member=np.arange(20.0), nonmember=np.arange(20.0) - 5)
    tokens = ["audit", str(tmp_path / "a b.npz"), "--json", str(tmp_path / "a.json")]
    main(tokens)
    found = json.loads((tmp_path / "a.json").read_text())["made"]
    # As a shell takes it, whatever is in the names.
    assert shlex.split(found.pop("command")) == ["mis", *tokens]
    assert found == {"result": "audit", "format": FORMAT, "version": version()}
    assert made("audit")["command"] == ""
    capsys.readouterr()

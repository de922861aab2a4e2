"""The version says which code runs: in a working tree, an archive, and neither."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mis

ROOT = Path(__file__).parents[1]

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


def git(folder, *command):
    me = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", folder, *me, *command], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def version_in(folder, **environment):
    """What the copy of the package in a folder calls itself, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "import mis; print(mis.__version__)"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    """The two files that make a version, without git."""
    folder = tmp_path / "tree"
    (folder / "mis").mkdir(parents=True)
    for name in ("mis/__init__.py", "mis/version.py", ".gitattributes"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def repository(tree):
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "first")
    return tree


def test_nothing_tells_the_commit(tree):
    assert re.fullmatch(r"\d+\.\d+\.\d+", version_in(tree))


@needs_git
def test_a_repository_around_it_is_another_one(tree):
    git(tree.parent, "init", "-q")
    git(tree.parent, "add", "-A")
    git(tree.parent, "commit", "-qm", "first")
    assert "+" not in version_in(tree)


@needs_git
def test_before_the_first_commit(tree):
    git(tree, "init", "-q")
    assert "+" not in version_in(tree)


@needs_git
def test_working_tree_says_its_commit_and_whether_it_differs(repository):
    commit = git(repository, "rev-parse", "HEAD")
    release = version_in(repository).split("+")[0]
    assert version_in(repository) == f"{release}+g{commit[:10]}"
    (repository / "notes.txt").write_text("not of the package")
    assert version_in(repository) == f"{release}+g{commit[:10]}"
    (repository / "mis" / "new.py").write_text("")
    assert version_in(repository) == f"{release}+g{commit[:10]}.dirty"


@needs_git
def test_tags_and_the_environment_change_nothing(repository, tmp_path):
    plain = version_in(repository)
    git(repository, "tag", "v9.9")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    assert version_in(repository, GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other)) == plain


@needs_git
def test_nothing_is_written_into_the_repository(repository):
    os.utime(repository / "mis/version.py")  # git would now like to refresh its index
    index = (repository / ".git/index").stat().st_mtime_ns
    version_in(repository, PYTHONDONTWRITEBYTECODE="1")
    assert (repository / ".git/index").stat().st_mtime_ns == index
    assert not git(repository, "status", "--porcelain", "--ignored")


@needs_git
def test_an_unpacked_archive_says_its_commit(repository, tmp_path):
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    git(repository, "archive", "--output", str(tmp_path / "mis.tar"), "HEAD")
    shutil.unpack_archive(tmp_path / "mis.tar", unpacked, filter="data")
    assert version_in(unpacked) == version_in(repository)


@needs_git
@pytest.mark.slow
def test_a_wheel_built_from_an_archive_says_its_commit(repository, tmp_path):
    """Needs what `pip install .` needs: a registry, or its cache, for the build backend."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "mis/populations/data/NOTICE.md", "mis/py.typed"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, repository / name)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    expected = version_in(repository)
    git(repository, "archive", "--output", str(tmp_path / "mis.tar"), "HEAD")
    shutil.unpack_archive(tmp_path / "mis.tar", tmp_path / "unpacked", filter="data")
    pip = [sys.executable, "-m", "pip"]
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--target", "site", "./unpacked"], cwd=tmp_path, check=True
    )
    assert (tmp_path / "site/mis/py.typed").exists()
    assert version_in(tmp_path / "site") == expected


def test_the_command_line_says_it(capsys):
    from mis.cli import main

    main(["--version"])
    assert capsys.readouterr().out.strip() == mis.__version__

"""Which code this is, as git, the archive it came in, or the wheel that was installed say.

The build runs this file by itself to name the wheel, so it imports nothing of the package.
"""

import os
import re
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["version"]

# The one place of the version; a commit comes behind it.
RELEASE = "0.1.0"

# `git archive` writes the commit here, so that an unpacked archive knows it too (.gitattributes).
ARCHIVED = "$Format:%H$"

# The folder that holds the package: a working tree, an unpacked archive, or site-packages.
ROOT = Path(__file__).resolve().parents[1]


def version() -> str:
    """Return the release and the commit that runs, ``.dirty`` behind it where files of the package differ from it.

    Returns
    -------
    str
        ``0.1.0+g0123456789`` in a working tree of git, in an archive made by git, and in a wheel built from either;
        ``0.1.0`` where nothing tells the commit.

    Examples
    --------
    >>> version().startswith(RELEASE)
    True
    """
    return _of_wheel() or RELEASE + (_of_git() or _of_archive())


def _of_wheel() -> str:
    """Return the version of the wheel that this file was installed from, not of another one on the path."""
    try:
        installed = distribution("mis")
    except PackageNotFoundError:
        return ""
    return installed.version if Path(str(installed.locate_file("mis"))).resolve() == ROOT / "mis" else ""


def _of_git() -> str:
    """Ask git, where the package stands in its own repository; one around it tells nothing of this code."""
    if not (ROOT / ".git").exists():
        return ""
    # Nothing is written, not even git's index, and no repository named in the environment is taken for this one.
    command = [
        "git",
        "--no-optional-locks",
        "-C",
        str(ROOT),
        "status",
        "--porcelain=2",
        "--branch",
        "--",
        "mis",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    head, *rest = (line for line in said.splitlines() if line.startswith("# branch.oid") or line[0] != "#")
    local = _local(head.split()[-1])
    return local + ".dirty" if local and rest else local


def _of_archive() -> str:
    return _local(ARCHIVED)


def _local(commit: str) -> str:
    """Return a commit as the local part of a version; nothing where it is none, as before the first one."""
    return f"+g{commit[:10]}" if re.fullmatch("[0-9a-f]{40,}", commit) else ""

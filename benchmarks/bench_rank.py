"""Script: seconds from the command to the saved ranking, in a process of its own, compilation and imports included."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time


def seconds(*options):
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from mis.cli import main; main()",
                "rank",
                "solubility",
                "--out",
                out,
                *options,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        elapsed = time.perf_counter() - start
        document = json.loads((pathlib.Path(out) / "ranking.json").read_text())
        assert len(document["rows"]) == 10
        return elapsed, document["device"]


def main():
    quick, device = seconds("--quick")
    default, _ = (None, None) if "--quick" in sys.argv else seconds()
    print(
        json.dumps(
            {"benchmark": "rank", "quick_seconds": quick, "default_seconds": default, "device": device}
        )
    )


if __name__ == "__main__":
    main()

"""The command line: one file a command, loaded when it is called; this one reports what goes wrong.

To add a command: write a file with one function, both of its name, which parses and prints and nothing else;
add the name to ``COMMANDS``. Heavy imports wait inside the function: ``mis --help`` and ``mis NAME --help`` do
without them.
"""

import ast
import codecs
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cyclopts
from cyclopts import Parameter

from mis.cli.inputs import convert
from mis.cli.plain import plain
from mis.provenance import COMMAND
from mis.version import version

__all__ = ["app", "main"]

TOO_MUCH = "more was asked for than this machine has memory for."

# Where the file and function are called like the command; and where they have another name.
NAMES = ("rank", "run", "explain", "indicator", "audit", "attack", "inspect", "report", "verify", "figure")
COMMANDS = {**{name: name for name in NAMES}, "list": "names"}


def _description(place: str) -> str:
    """Return what the function of a file says it does, without loading the file."""
    tree = ast.parse((Path(__file__).parent / f"{place}.py").read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == place)
    return (ast.get_docstring(found) or "").partition("\n\nParameters\n")[0]


codecs.register_error("mis-plain", plain)

app = cyclopts.App(
    name="mis",
    version=version,
    help="Membership inference security: how much a released, quantized model tells about its training examples.",
    default_parameter=Parameter(converter=convert),
    # It would end without a word.
    suppress_keyboard_interrupt=False,
)
for name, place in COMMANDS.items():
    app.command(f"mis.cli.{place}:{place}", name=name, help=_description(place))


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line; bad input is one line on stderr and exit code 2, a figure that fails is exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="mis-plain")
    previous = signal.signal(signal.SIGTERM, _terminate)
    asked = COMMAND.set(shlex.join(["mis", *(sys.argv[1:] if tokens is None else tokens)]))
    try:
        _run(tokens)
    finally:
        COMMAND.reset(asked)
        signal.signal(signal.SIGTERM, previous)


class _Terminated(KeyboardInterrupt):
    """Asked to end by another process."""


def _terminate(*_: Any) -> None:
    raise _Terminated


def _run(tokens: Sequence[str] | None) -> None:
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except (ValueError, RuntimeError, AssertionError) as error:
        # Imported late, like all that needs NumPy: `mis --help` must not wait for it.
        from mis.numerics.checks import InvalidInput, UnsupportedSetting

        if isinstance(error, InvalidInput | UnsupportedSetting):
            _fail(str(error))
        if type(error).__name__ == "FigureError":
            # Numbers are written before pictures are drawn.
            print(f"mis: {error}", file=sys.stderr)
            sys.exit(1)
        if "RESOURCE_EXHAUSTED" in str(error):
            _fail(TOO_MUCH)
        if not _start_of_jax(error):
            raise
        said = str(error).partition("\n")[0] or "no such device"
        platforms = os.environ.get("JAX_PLATFORMS")
        _fail(f"JAX cannot start{f' (JAX_PLATFORMS={platforms})' if platforms else ''}: {said.rstrip('.')}.")
    except cyclopts.CycloptsError as error:
        _fail(" ".join(str(error).split()))
    except BrokenPipeError:
        # Whoever read the output has enough; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part) + ".")
    except (MemoryError, OverflowError):
        _fail(TOO_MUCH)
    except KeyboardInterrupt as stop:
        print(
            "mis: interrupted; what was done is kept, and the same command goes on from there.",
            file=sys.stderr,
            flush=True,
        )
        # At once: threads that still compute would be waited for, and may crash an interpreter that ends under them.
        os._exit(128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT))


def _start_of_jax(error: BaseException) -> bool:
    """Whether JAX refuses its own settings or finds no device: no bug, an environment."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    path = Path(frame.tb_frame.f_code.co_filename) if frame else Path()
    return path.parts[-3:-1] == ("jax", "_src") and path.name in ("xla_bridge.py", "config.py")


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """Say a warning in a line, without the code it comes from."""
    print(f"mis: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(message: str) -> None:
    print(f"mis: {message}", file=sys.stderr)
    sys.exit(2)

"""Progress on stderr, a bar in a terminal and plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator

__all__ = ["track"]

# Without a terminal: a line at each tenth, not more often than every second, and every ten seconds at the least.
SHARE, SOONEST, LATEST = 0.1, 1.0, 10.0


def track(items: Iterable, what: str, progress: bool) -> Iterator:
    """Iterate, and show how far it is if asked to.

    Parameters
    ----------
    items
        What is iterated over.
    what
        What they are, in a word.
    progress
        Show it. A line, where there is no terminal, comes after the item that was due; the last line always.
    """
    items = list(items)
    if not progress or not items:
        return iter(items)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        return iter(bar(items, description=f"{what:<12}", console=Console(stderr=True)))
    return _lines(items, what)


def _lines(items, what):
    started = written = time.monotonic()
    done, shown = 0, 0.0
    for item in items:
        yield item
        done, now = done + 1, time.monotonic()
        share = done / len(items)
        due = share - shown >= SHARE - 1e-9 and now - written >= SOONEST
        if done == len(items) or due or now - written >= LATEST:
            shown, written = share, now
            print(
                f"{what}: {done} of {len(items)}, {100 * share:.0f}%, {now - started:.0f} s",
                file=sys.stderr,
                flush=True,
            )

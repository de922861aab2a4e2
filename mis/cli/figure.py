"""``mis figure``."""

import functools
from pathlib import Path

from mis.cli.inputs import Switch

__all__ = ["figure"]


def figure(
    *names: str,
    out: Path = Path("results/figures"),
    quick: Switch = False,
    width: str | None = None,
    style: str | None = None,
) -> None:
    """Compute and draw figures of the theory, or draw again what `mis rank` wrote: .pdf, .png, .svg, captions in .txt.

    Parameters
    ----------
    names
        Names of figures, whose rows are also written as .csv, or paths of ranking.json files; none lists the names.
    out
        Folder they are written to, with all that they keep on the way.
    quick
        Fewer points.
    width
        single or double (3.4in, 7in), or a number with in, cm, mm or pt; else what suits each.
    style
        A matplotlib style sheet on top of ours.
    """
    from mis import figures, studies
    from mis.numerics.checks import InvalidInput, known
    from mis.store import make_folder

    if not names:
        lines = {
            name: (studies.STUDIES[name].__doc__ or "").strip().splitlines()[0] for name in figures.FIGURES
        }
        print("\n".join(f"{name:<24} {line}" for name, line in lines.items()))
        return
    looks = {"style": style} | ({} if width is None else {"width": width})
    figures.inches("figure", "single" if width is None else width)
    figures.check_style("figure", style)
    recorded = {name: figures.recorded_ranking(Path(name)) for name in names if Path(name).suffix == ".json"}
    titles = [recorded[name].name if name in recorded else name for name in names]
    for name in names:
        if name not in recorded:
            known("figure", "name", name, figures.FIGURES)
    if len(set(titles)) < len(titles):
        raise InvalidInput(f"figure: expected names that differ, got {', '.join(titles)}.")
    make_folder("figure", out)
    for name, title in zip(names, titles, strict=True):
        sentence = recorded[name].sentence if name in recorded else None
        figures.refuse_other(out, title, quick=quick, sentence=sentence)
    for name, title in zip(names, titles, strict=True):
        written = []
        if name in recorded:
            draw = functools.partial(recorded[name].draw, **looks)
        else:
            rows = studies.STUDIES[name](quick, *([out / name] if name in studies.KEEPING else []))
            studies.write_rows(rows, out / f"{name}.csv")
            written = [f"{name}.csv"]
            draw = functools.partial(figures.FIGURES[name], rows, **looks)
        written += figures.save(
            draw, out, title, note=figures.QUICK if quick and name not in recorded else ""
        )
        print(f"Written to {out}: {', '.join(written)}")

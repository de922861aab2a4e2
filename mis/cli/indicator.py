"""``mis indicator``."""

import json
from typing import Annotated, Any

from cyclopts import Parameter

from mis.cli.inputs import OutputFile, keep_apart

__all__ = ["indicator"]


def indicator(
    path: str,
    /,
    *,
    level: float = 0.95,
    seed: int = 0,
    json_file: Annotated[OutputFile, Parameter(name="--json")] = None,
) -> None:
    """Compute the indicator r_Q from losses measured in any framework.

    Parameters
    ----------
    path
        An .npz file with losses (K, N): candidate k's loss on held-out example i; optionally names (K,).
    level
        Level of the bootstrap interval.
    seed
        Seed of the bootstrap.
    json_file
        Also write the numbers to this file.
    """
    from mis import theory
    from mis.populations.files import read_npz
    from mis.ranking.table import indicator_table

    keep_apart([path], [json_file])
    arrays: dict[str, Any] = read_npz(path, ["losses"], ["names"])
    law = theory.SampledLosses(**arrays)
    estimate = theory.indicator(law, level=level, seed=seed)
    print(indicator_table(law, estimate))
    if json_file is not None:
        document = {"lower": estimate.lower, "value": estimate.value, "upper": estimate.upper, "level": level}
        json_file.write_text(json.dumps({**document, **estimate.details}, default=float) + "\n")

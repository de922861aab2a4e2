"""What no derivation fixes in the attacks of the study of leakage is what the record of images apart chose."""

import json
from pathlib import Path

import numpy as np

from mis.attacks.inversion import target
from mis.works.leakage.attacked import VARIATION

RECORD = Path(__file__).parents[2] / "benchmarks/results/choose-inversion.json"


def test_constants_are_those_that_err_least_on_images_apart():
    tried = json.loads(RECORD.read_text(encoding="utf-8"))["log10_squared_error"]
    used = {"PULL": target.PULL, **{f"VARIATION {name}": weight for name, weight in VARIATION.items()}}
    for name, value in used.items():
        means = {float(each): np.mean(list(errors.values())) for each, errors in tried[name].items()}
        assert value == min(means, key=means.get)

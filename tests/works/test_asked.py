"""Every work of rankings asks for what there is: no release, attack, option or network has a name of its own."""

import importlib

import pytest

from mis import works
from mis.ranking.asked import attacks_of, releases_of, specs

OF_RANKINGS = ("indicator", "calibrated", "sparsity", "kowalski")


@pytest.mark.parametrize("name", OF_RANKINGS)
def test_experiments_are_ones_that_rank_takes(name):
    module = importlib.import_module(works.WORKS[name].place)
    experiments = module.experiments(module.settings("default", 0, None))
    assert len({one.name for one in experiments}) == len(experiments)
    for one in {one.task: one for one in experiments}.values():
        options = dict(one.options)
        protocol, spec = specs(one.task, one.model, options)
        assert protocol.num_networks >= 32
        releases_of(one.releases)
        attacks_of(protocol.attacks, spec.population)

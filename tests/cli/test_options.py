"""Options of the command line against the specs they are read off, loaded."""

import dataclasses
from typing import get_args, get_type_hints

import pytest

from mis.cli.options import ALIASES, options_of, options_of_variants
from mis.cli.rank import GROUPS, option_types
from mis.models import MODELS
from mis.populations import POPULATIONS, Npz
from mis.ranking import Protocol
from mis.training import Learner

SIMPLE = (int, float, str, bool)


def simple(spec, without):
    """Name, type and default of the fields that are a number, a text or a switch."""
    hints = get_type_hints(spec)
    found = {}
    for field in dataclasses.fields(spec):
        kinds = [kind for kind in (hints[field.name], *get_args(hints[field.name])) if kind in SIMPLE]
        if kinds and field.name not in without:
            found[field.name] = kinds[0], field.default
    return found


@pytest.mark.parametrize(
    ("place", "spec"), [("ranking/protocol.py", Protocol), ("training/learner.py", Learner)]
)
def test_options_are_the_fields_of_a_spec(place, spec):
    read = {option.name: option for option in options_of(place, spec.__name__)}
    fields = simple(spec, ())
    assert {name: option.kind for name, option in read.items()} == {
        name: kind for name, (kind, _) in fields.items()
    }
    for name, (_, default) in fields.items():
        shown = default is not None and default is not False
        assert read[name].help.endswith(f" [{default}]." if shown else ".")
        assert ("[" in read[name].help) == shown


@pytest.mark.parametrize(
    ("folder", "registry", "variants", "without"),
    [
        ("models", "MODELS", MODELS, ("num_classes", "input_shape")),
        ("populations", "POPULATIONS", POPULATIONS | {"your own": Npz}, ("digest",)),
    ],
)
def test_options_are_the_fields_of_all_variants(folder, registry, variants, without):
    others = {"your own": "Npz"} if "your own" in variants else {}
    read = {option.name: option for option in options_of_variants(folder, registry, without[0], **others)}
    expected = {}
    for variant, spec in variants.items():
        for name, (kind, default) in simple(spec, without).items():
            expected.setdefault(name, []).append((variant, kind, default))
    assert {name: option.kind for name, option in read.items()} == {n: of[0][1] for n, of in expected.items()}
    for name, of in expected.items():
        for variant, _, default in of:
            assert variant in read[name].help
            assert default in ("", False, None) or f"[{default}]" in read[name].help


def test_no_option_and_no_other_name_of_one_stands_twice():
    names = [option.name for options in GROUPS.values() for option in options]
    others = [other for name, of in ALIASES.items() if name in option_types() for other in of]
    assert len(names) == len(set(names))
    assert not {"releases", "model", "out", "shard", "replace", "fresh"} & set(names)
    assert len({*option_types(), *others}) == len(option_types()) + len(others)


def test_a_registry_that_is_not_there():
    with pytest.raises(LookupError, match="has no NOWHERE"):
        options_of_variants("models", "NOWHERE", "")

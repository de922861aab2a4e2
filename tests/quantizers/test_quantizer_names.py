"""Names, refusals, and whole networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import (
    Chain,
    Codebook,
    Full,
    Noise,
    PowerOfTwo,
    Prune,
    Sign,
    Stochastic,
    Ternary,
    Uniform,
    parse,
    quantize,
)
from mis.quantizers.fields import grammar


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("ternary-33.3", Ternary(zeros=0.333)),
        ("ternary-0.01", Ternary(zeros=1e-4)),
        ("uniform-4-asymmetric-channel", Uniform(bits=4, asymmetric=True, channel=True)),
        ("uniform-3-offset-50-clip-80", Uniform(bits=3, offset=0.5, clip=0.8)),
        ("uniform-3-scale-0.00001", Uniform(bits=3, scale=1e-5)),
        ("uniform-3-pow2", Uniform(bits=3, scale="power-of-two")),
        ("power-of-two-4", PowerOfTwo(bits=4)),
        ("stochastic-8-scale-2", Stochastic(bits=8, scale=2.0)),
        ("codebook-16", Codebook(levels=16)),
        ("prune-90", Prune(zeros=0.9)),
        ("noise-7.5", Noise(sd=0.075)),
        ("noise-150", Noise(sd=1.5)),
        ("prune-90+uniform-4", Chain(first=Prune(zeros=0.9), second=Uniform(bits=4))),
        ("prune-50+codebook-16", Chain(first=Prune(zeros=0.5), second=Codebook(levels=16))),
    ],
)
def test_names_both_ways(name, spec):
    assert parse(name) == spec
    assert spec.name == name


@pytest.mark.parametrize("zeros", np.random.default_rng(0).random(20))
def test_any_percentage_reads_back_exactly(zeros):
    assert parse(Ternary(zeros=float(zeros)).name).zeros == zeros


def test_words_may_come_in_any_order():
    assert parse("uniform-4-clip-80-channel") == parse("uniform-4-channel-clip-80")


def test_numpy_numbers_spell_as_python_ones():
    assert Uniform(bits=np.int64(3), clip=np.float64(0.8)).name == "uniform-3-clip-80"
    assert Uniform(bits=3, scale=2).name == "uniform-3-scale-2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unifrom-4", r"expected name one of full, sign, .*got name='unifrom-4'\. Nearest: uniform-4"),
        ("ternery-90", r"Nearest: ternary-90"),
        ("", r"expected name one of"),
        ("ternary", r"expected name of the form ternary-PERCENT\[-peak\], got name='ternary'\."),
        (
            "uniform-x",
            r"of the form uniform-BITS\[-asymmetric\]\[-channel\]\[-group-GROUP\]\[-offset-PERCENT\]",
        ),
        ("uniform-4-chanel", r"got name='uniform-4-chanel'"),
        ("uniform-4-clip", r"\[-clip-PERCENT\]"),
        ("uniform-4-clip-eighty", r"\[-clip-PERCENT\]"),
        ("uniform-4-channel-channel", r"got name='uniform-4-channel-channel'"),
        ("uniform-4-pow2-scale-2", r"\[-scale-NUMBER\|-pow2\]"),
        ("full-4", r"of the form full, got"),
        ("nf4-", r"of the form nf4\[-scale-NUMBER\|-pow2\], got"),
        ("uniform-9", r"Uniform: expected bits an integer in 2\.\.8, got bits=9\."),
        ("ternary-100", r"Ternary: expected zeros in \(0, 1\), got zeros=1\.0\."),
        ("ternary-nan", r"Ternary: expected zeros a finite number, got zeros=nan\."),
        ("uniform-4-clip-0", r"Uniform: expected clip in \(0, 1\], got clip=0\.0\."),
        ("uniform-4-offset-100", r"Uniform: expected offset in \[0, 1\), got offset=1\.0\."),
        ("uniform-4-scale-0", r"Uniform: expected scale a finite number > 0, got scale=0\.0\."),
        ("prune-0", r"Prune: expected zeros in \(0, 1\), got zeros=0\.0\."),
        ("noise-0", r"Noise: expected sd > 0, got sd=0\.0\."),
        ("sign+uniform-4", r"Chain: expected first a Prune, got first=Sign\(scale='fit'\)\."),
        ("prune-90+full", r"Chain: expected second a quantizer with levels, got second=Full\(\)\."),
        (
            "prune-90+noise-10",
            r"Chain: expected second a quantizer with levels, got second=Noise\(sd=0\.1\)\.",
        ),
        ("prune-90+", r"quantizers\.parse: expected name one of"),
        ("prune-90+unifrom-4", r"Nearest: uniform-4"),
        ("codebook-1", r"Codebook: expected levels an integer in 2\.\.256, got levels=1\."),
    ],
)
def test_refusals_say_what_was_expected(name, message):
    with pytest.raises(InvalidInput, match=message):
        parse(name)


def test_specs_refuse_wrong_kinds():
    with pytest.raises(
        InvalidInput, match=r"Sign: expected scale 'fit', 'power-of-two' or a number > 0, got scale='x'"
    ):
        Sign(scale="x")
    with pytest.raises(InvalidInput, match=r"Uniform: expected channel True or False, got channel=1"):
        Uniform(bits=4, channel=1)
    with pytest.raises(InvalidInput, match=r"Uniform: expected bits an integer in 2\.\.8, got bits=4\.0"):
        Uniform(bits=4.0)
    with pytest.raises(UnsupportedSetting, match="Uniform: an asymmetric grid fits both its ends"):
        Uniform(bits=4, asymmetric=True, scale=1.0)


def test_chains_need_cells():
    with pytest.raises(
        UnsupportedSetting, match="Chain: stochastic-4 rounds at random, so what it releases has no"
    ):
        parse("prune-90+stochastic-4")
    with pytest.raises(UnsupportedSetting, match=r"Channel\.pruned: only cells can follow pruning"):
        Stochastic(bits=4).fit(np.ones(3)).pruned(1.0)


def test_grammar():
    assert grammar(Full) == "full"
    assert grammar(Codebook) == "codebook-LEVELS"


@pytest.mark.parametrize("container", [list, tuple])
def test_networks_keep_their_shape_and_each_layer_its_grid(container, rng):
    params = container([rng.standard_normal((5, 3)), 100 * rng.standard_normal((4, 1))])
    released = quantize(Sign(), params)
    assert type(released) is container
    for before, after in zip(params, released, strict=True):
        assert np.array_equal(after, Sign()(before))


def test_layers_draw_apart():
    layer = jnp.linspace(-1, 1, 50).reshape(50, 1)
    first, second = quantize(Stochastic(bits=2), [layer, layer], jax.random.key(0))
    assert not np.array_equal(first, second)
    again, _ = quantize(Stochastic(bits=2), [layer, layer], jax.random.key(0))
    assert np.array_equal(first, again)


def test_quantize_refuses_other_containers():
    with pytest.raises(InvalidInput, match="quantize: expected params a list or tuple of layers, got a dict"):
        quantize(Sign(), {"w": np.ones(3)})

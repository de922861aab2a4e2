"""One explicit seed, whichever kind the caller has, and the same draws whatever JAX's default is."""

from typing import Any

import numpy as np

from mis.numerics.checks import refuse

__all__ = ["generator", "jax_key"]

# Named, for JAX's default is the user's to change (``JAX_DEFAULT_PRNG_IMPL``), and with it every draw.
ALGORITHM = "threefry2x32"


def jax_key(seed: int) -> Any:
    """Return the JAX key of a seed, of one algorithm whatever JAX's default is.

    Examples
    --------
    >>> jax_key(3)
    Array((), dtype=key<fry>) overlaying:
    [0 3]
    """
    import jax  # `mis audit` needs no JAX

    return jax.random.key(seed, impl=ALGORITHM)


def generator(where: str, key: Any) -> np.random.Generator:
    """Return NumPy's generator for an int seed or a JAX key, typed or raw; the same key, the same numbers.

    Examples
    --------
    >>> float(generator("example", 1).random()) == float(generator("example", 1).random())
    True
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and key >= 0:
        return np.random.default_rng(int(key))
    dtype = str(getattr(key, "dtype", ""))
    if dtype.startswith("key<"):
        import jax  # a typed key comes from a program that has imported JAX

        key, dtype = jax.random.key_data(key), "uint32"
    if dtype == "uint32" and np.ndim(key) == 1:
        return np.random.default_rng([int(word) for word in np.asarray(key)])
    raise refuse(where, "key", "an int >= 0 or a single JAX key", key)

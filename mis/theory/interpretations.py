"""An advantage read as differential privacy and as Bayes security."""

import math

from mis.numerics.checks import number, refuse
from mis.results import Interval
from mis.theory.roc import Roc

__all__ = ["bayes_security", "implied_epsilon", "private_advantage"]

# Of a hyperbolic tangent and two sums.
ROUNDING = 1e-15


def private_advantage(epsilon: float, delta: float = 0.0) -> Interval:
    """Upper bound ``(e^epsilon - 1 + 2 delta) / (e^epsilon + 1)`` on the advantage against a private learner.

    Claim: whatever the law of the data and the sample size, an (epsilon, delta)-differentially private
    learner, neighbours differing in one replaced example, has at most this advantage; so ``MIS >= 1 - delta``
    where epsilon is 0. The laws of (release, member) and (release, fresh example) are mixtures of neighbours'
    laws, so each hockey-stick divergence is at most delta, and the bound is the largest advantage of two laws
    so related: that of telling the two inputs of randomised response apart. Averaged over examples, as here, what a
    learner leaks stays below it.

    Parameters
    ----------
    epsilon
        In nats, >= 0. Under add-or-remove neighbours at epsilon', use ``2 epsilon'`` (and ``(1 + e^epsilon')
        delta'``).
    delta
        In 0..1.

    Returns
    -------
    Interval
        Kind ``certified``: the advantage lies between 0 and the bound, which is the value and, but for rounding, the
        upper end.

    References
    ----------
    Kairouz, Oh, Viswanath (2015), The composition theorem for differential privacy, arXiv:1311.0776 (the
    region of error rates). Humphries et al. (2023), Investigating membership inference attacks under data
    dependencies, arXiv:2010.12112 (the bound for membership). Kulynych, Gomez, Kaissis, Calmon, Troncoso
    (2024), Attack-aware noise calibration for differential privacy, arXiv:2407.02191 (advantage as what to
    calibrate).

    Examples
    --------
    >>> private_advantage(epsilon=math.log(3))  # randomised response, true with probability 3/4
    Interval(0.5 in [0, 0.5], certified, level=1)
    >>> private_advantage(epsilon=0.0, delta=0.01).value
    0.01
    """
    epsilon, delta = _privacy("theory.private_advantage", epsilon, delta)
    # tanh is the ratio at delta = 0, without overflow; 1 - tanh is what delta can still add.
    bound = math.tanh(epsilon / 2) + delta * (1 - math.tanh(epsilon / 2))
    return Interval(lower=0.0, value=bound, upper=min(bound * (1 + ROUNDING), 1.0), kind="certified")


def implied_epsilon(advantage: Interval, delta: float = 0.0) -> Interval:
    """Least epsilon, in nats, of any (epsilon, delta) guarantee that leaves room for an advantage.

    ``log((1 + advantage - 2 delta) / (1 - advantage))``, and 0 where that is negative: `private_advantage`
    solved for epsilon. Whoever claims less is refuted. Increasing in the advantage, so bounds go to bounds,
    with the kind and level they had: the lower end of an attack's interval refutes at that level, while its
    upper end says nothing about privacy, since differential privacy also covers data that were never drawn.

    Examples
    --------
    >>> implied_epsilon(Interval(lower=0.4, value=0.5, upper=0.6, kind="attack", level=0.95))
    Interval(1.09861 in [0.847298, 1.38629], attack, level=0.95)
    """
    _, delta = _privacy("theory.implied_epsilon", 0.0, delta)
    if not isinstance(advantage, Interval) or not 0 <= advantage.lower <= advantage.upper <= 1:
        raise refuse("theory.implied_epsilon", "advantage", "an Interval within 0..1", advantage)
    lower, value, upper = (_epsilon(x, delta) for x in (advantage.lower, advantage.value, advantage.upper))
    return Interval(lower=lower, value=value, upper=upper, kind=advantage.kind, level=advantage.level)


def bayes_security(roc: Roc, prior: float = 0.5) -> Interval:
    """Error of the best attack over the error of the best guess, when members have a given prior probability.

    ``inf over tests of prior (1 - TPR) + (1 - prior) FPR``, divided by ``min(prior, 1 - prior)``; between 0
    (everything is revealed) and 1 (nothing). At prior 1/2 it is ``1 - advantage``, the MIS, and no prior has
    less: MIS is the Bayes security of the channel from membership to (release, example). An `Interval` of the
    ROC's kind.

    References
    ----------
    Chatzikokolakis, Cherubin, Palamidessi, Troncoso (2023), Bayes security: a not so average metric,
    arXiv:2011.03396 (the name; least at the uniform prior on two secrets, where it is one minus their total
    variation). Cherubin, Chatzikokolakis, Palamidessi (2019), F-BLEAU: fast black-box leakage estimation,
    arXiv:1902.01350 (estimating the Bayes error of a black box).

    Examples
    --------
    >>> roc = Roc.discrete(members=[0.75, 0.25], others=[0.25, 0.75])
    >>> [round(bayes_security(roc, prior).value, 9) for prior in (0.5, 0.8)]
    [0.5, 1.0]
    """
    prior = number("theory.bayes_security", "prior", prior, above=0.0, below=1.0)
    if not isinstance(roc, Roc):
        raise refuse("theory.bayes_security", "roc", "a Roc, as .roc() of an Interval returns it", roc)
    gain = roc.gain(prior)
    upper, value, lower = (
        min(1.0, max(0.0, prior * (1 - g) / min(prior, 1 - prior)))
        for g in (gain.lower, gain.value, gain.upper)
    )
    return Interval(lower=lower, value=value, upper=upper, kind=gain.kind, level=gain.level)


def _privacy(where: str, epsilon: float, delta: float) -> tuple[float, float]:
    epsilon, delta = number(where, "epsilon", epsilon), number(where, "delta", delta)
    if epsilon < 0:
        raise refuse(where, "epsilon", ">= 0", epsilon)
    if not 0 <= delta <= 1:
        raise refuse(where, "delta", "in 0..1", delta)
    return epsilon, delta


def _epsilon(advantage: float, delta: float) -> float:
    if advantage <= delta:
        return 0.0
    if advantage == 1.0:
        return math.inf
    return math.log1p(2 * (advantage - delta) / (1 - advantage))

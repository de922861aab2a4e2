"""What an attacker sees of released networks, by the names that attacks ask for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from mis.attacks import ATTACKS as VARIANTS
from mis.attacks import RMIA, Attack, LiRA
from mis.numerics.checks import UnsupportedSetting, known
from mis.ranking.published import Published, decoded_outputs, example_losses, example_scores

__all__ = ["ATTACKS", "Evidence", "Ranked", "ranked", "refuse_unserved", "sees"]


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """An attack as a ranking runs it.

    Parameters
    ----------
    attack
        The attack.
    reads
        For an input of the attack the evidence it is given, where that has another name.
    """

    attack: Attack
    reads: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs(self) -> list[str]:
        """Names of the evidence it takes."""
        return [self.reads.get(name, name) for name in self.attack.needs]

    def scores(self, evidence: "Evidence") -> np.ndarray:
        """Return scores ``(T, N)`` of the networks that are no shadows."""
        inputs = {name: getattr(evidence, self.reads.get(name, name)) for name in self.attack.needs}
        return self.attack.scores(**inputs)


def _lira(what: str) -> Ranked:
    return Ranked(attack=LiRA(), reads={f"{side}_scores": f"{side}_{what}" for side in ("target", "shadow")})


# Shadows as they were before their release: what is known of the release is not used. The threshold is still that of
# released networks, as that of a ROC curve is.
UNADAPTED = Ranked(attack=LiRA(), reads={"shadow_scores": "shadow_full_scores"})


def ranked() -> dict[str, Ranked]:
    """Return every attack that a ranking can serve, by name.

    An attack of the registry whose inputs are all evidence is in it as it is; a few read other evidence than the name
    of their input says, or are set up for networks that all come from one pool.
    """
    own = {
        "rmia": Ranked(attack=RMIA(online=False)),
        "lira_loss": _lira("negative_losses"),
        "lira_decoded": _lira("decoded_scores"),
        "lira_unadapted": UNADAPTED,
    }
    return {name: Ranked(attack=variant()) for name, variant in VARIANTS.items()} | own


class Evidence:
    """What an attacker sees of one fold: everything of the shadows, of the others only what was released.

    Each name is computed when it is first asked for, and once.

    Parameters
    ----------
    published
        What was released of all networks, with their outputs.
    fold
        Number of the fold under attack.
    is_shadow
        Which networks the attacker trained, ``(M,)``; all the others are targets.
    beside
        Other releases of the same networks, which help to decode this one.
    """

    def __init__(
        self, published: Published, fold: int, is_shadow: np.ndarray, beside: Sequence[Published] = ()
    ):
        self.published, self.fold, self.is_shadow, self.beside = published, fold, is_shadow, beside
        self.networks = published.networks

    # Who had what, and what the examples are.

    @cached_property
    def shadow_membership(self) -> np.ndarray:
        """Which examples each shadow was trained on, ``(M, N)``."""
        return self.networks.ensemble.membership[self.is_shadow]

    @cached_property
    def labels(self) -> np.ndarray:
        """True classes of the examples under attack, ``(N,)``."""
        self._classes()
        return self.networks.split.pool.targets

    @cached_property
    def shadow_labels(self) -> np.ndarray:
        """True classes of the shadows' examples: the same pool."""
        return self.labels

    @cached_property
    def features(self) -> np.ndarray:
        """The examples under attack, each in a row, ``(N, D)``."""
        return _flat(self.networks.split.pool.features)

    @cached_property
    def public_features(self) -> np.ndarray:
        """Examples that no network was trained on, ``(S, D)``."""
        return _flat(self.networks.split.heldout.features)

    # What released networks say.

    @cached_property
    def target_logits(self) -> np.ndarray:
        """Outputs of the targets, ``(T, N, C)``."""
        self._classes()
        return self.published.pool_outputs[~self.is_shadow]

    @cached_property
    def shadow_logits(self) -> np.ndarray:
        """Outputs of the shadows, released alike, ``(M, N, C)``."""
        self._classes()
        return self.published.pool_outputs[self.is_shadow]

    @cached_property
    def target_losses(self) -> np.ndarray:
        """Losses of the targets, ``(T, N)``."""
        return self.published.losses[~self.is_shadow]

    @cached_property
    def shadow_losses(self) -> np.ndarray:
        """Losses of the shadows, ``(M, N)``."""
        return self.published.losses[self.is_shadow]

    @cached_property
    def target_negative_losses(self) -> np.ndarray:
        """Minus the losses of the targets, larger for likelier members."""
        return -self.target_losses

    @cached_property
    def shadow_negative_losses(self) -> np.ndarray:
        """Minus the losses of the shadows."""
        return -self.shadow_losses

    @cached_property
    def target_scores(self) -> np.ndarray:
        """Log-odds of the true class or, in a regression, residuals with their sign, of the targets."""
        return self.published.scores[~self.is_shadow]

    @cached_property
    def shadow_scores(self) -> np.ndarray:
        """The same of the shadows."""
        return self.published.scores[self.is_shadow]

    @cached_property
    def shadow_full_scores(self) -> np.ndarray:
        """The same of the shadows before they were released: full precision, trained as the targets were."""
        return example_scores(self.networks.full_outputs, self.networks.split.pool.targets)[self.is_shadow]

    @cached_property
    def public_scores(self) -> np.ndarray:
        """The same of the targets on examples that no network was trained on, ``(T, S)``."""
        return example_scores(self.published.heldout_outputs, self.networks.split.heldout.targets)[
            ~self.is_shadow
        ]

    @cached_property
    def target_decoded_scores(self) -> np.ndarray:
        """The scores of the targets' networks decoded: every weight its mean given what was released of it."""
        return self._decoded_scores[~self.is_shadow]

    @cached_property
    def shadow_decoded_scores(self) -> np.ndarray:
        """The scores of the shadows' networks decoded in the same way."""
        return self._decoded_scores[self.is_shadow]

    @cached_property
    def _decoded_scores(self) -> np.ndarray:
        try:
            outputs = decoded_outputs([self.published, *self.beside], self.is_shadow)
        except UnsupportedSetting:
            # Each by itself; the attacks on both are joined.
            outputs = self.published.decoded_outputs(self.is_shadow)
        return example_scores(outputs, self.networks.split.pool.targets)

    @cached_property
    def target_probabilities(self) -> np.ndarray:
        """Probabilities of the true class by the targets, ``(T, N)``."""
        self._classes()
        return np.exp(-self.target_losses)

    @cached_property
    def shadow_probabilities(self) -> np.ndarray:
        """Probabilities of the true class by the shadows, ``(M, N)``."""
        self._classes()
        return np.exp(-self.shadow_losses)

    @cached_property
    def _public_probabilities(self) -> np.ndarray:
        self._classes()
        return np.exp(-example_losses(self.published.heldout_outputs, self.networks.split.heldout.targets))

    @cached_property
    def population_target(self) -> np.ndarray:
        """Probabilities of examples that no network was trained on, by the targets, ``(T, S)``."""
        return self._public_probabilities[~self.is_shadow]

    @cached_property
    def population_shadow(self) -> np.ndarray:
        """The same by the shadows, ``(M, S)``."""
        return self._public_probabilities[self.is_shadow]

    @cached_property
    def population_membership(self) -> np.ndarray:
        """No shadow was trained on any of them, ``(M, S)``."""
        return np.zeros(self.population_shadow.shape, dtype=bool)

    @cached_property
    def predict(self) -> list[Callable[[np.ndarray], np.ndarray]]:
        """The targets as functions that tell the predicted classes of rows of features."""
        self._classes()
        shape = self.networks.split.pool.features.shape[1:]
        return [
            partial(_predicted, self.networks.model, [layer[m] for layer in self.published.released], shape)
            for m in np.flatnonzero(~self.is_shadow)
        ]

    # What the weights say.

    @cached_property
    def target_params(self) -> np.ndarray:
        """Released parameters of the targets, ``(T, P)``."""
        return self.published.params[~self.is_shadow]

    @cached_property
    def shadow_params(self) -> np.ndarray:
        """Released parameters of the shadows, ``(M, P)``."""
        return self.published.params[self.is_shadow]

    @cached_property
    def shadow_full(self) -> np.ndarray:
        """Parameters of the shadows before they were released, ``(M, P)``."""
        return np.concatenate([np.asarray(rows)[self.is_shadow] for rows in self.networks.full], axis=1)

    @cached_property
    def target_lower(self) -> np.ndarray:
        """Lower ends of the cells that the targets' weights were released in, ``(T, P)``."""
        return self.published.bounds[0][~self.is_shadow]

    @cached_property
    def target_upper(self) -> np.ndarray:
        """Upper ends of these cells."""
        return self.published.bounds[1][~self.is_shadow]

    @cached_property
    def gradients(self) -> np.ndarray:
        """Gradients of the examples' losses, averaged over a few shadows before their release, ``(N, P)``."""
        of_fold = [[np.asarray(layer) for layer in block[self.fold]] for block in self.networks.gradients()]
        return np.concatenate([np.concatenate(layers, axis=1) for layers in of_fold])

    @cached_property
    def factors(self) -> np.ndarray:
        """Factors of the Hessian's Gauss-Newton part at one shadow, one drawn for each example, ``(N, P)``.

        In a classification the gradient of the loss of a class drawn from the network's own prediction: its second
        moment is the Fisher information. In a regression the gradient of the output.
        """
        return self.networks.factors(int(np.flatnonzero(self.is_shadow)[0]))

    @cached_property
    def target_gradients(self) -> np.ndarray:
        """Gradients of the examples' losses at each target's released parameters, ``(T, N, P)``."""
        at = np.flatnonzero(~self.is_shadow)
        return np.stack(
            [self.networks.gradients_at([layer[m] for layer in self.published.released]) for m in at]
        )

    @cached_property
    def _codes(self) -> np.ndarray:
        return np.unique(self.published.params, axis=0, return_inverse=True)[1].ravel()

    @cached_property
    def target_codes(self) -> np.ndarray:
        """Which of the distinct released networks each target is, ``(T,)``."""
        return self._codes[~self.is_shadow]

    @cached_property
    def shadow_codes(self) -> np.ndarray:
        """Which of them each shadow is, ``(M,)``."""
        return self._codes[self.is_shadow]

    def _classes(self) -> None:
        if self.networks.model.num_classes is None:
            raise UnsupportedSetting("rank", "the task is a regression, and the attack asks for classes.")


# Evidence that only a classification has.
OF_CLASSES = {
    *("labels", "shadow_labels", "target_logits", "shadow_logits", "target_probabilities", "predict"),
    *("shadow_probabilities", "population_target", "population_shadow", "population_membership"),
}

ATTACKS: dict[str, Ranked] = ranked()


# Evidence that takes the released weights themselves, not only what the network answers.
OF_WEIGHTS = {
    *("target_params", "target_lower", "target_upper", "target_codes", "target_gradients"),
    "target_decoded_scores",
}


def sees(name: str) -> list[str]:
    """Return what an attack is given: outputs, weights, and shadows where the attacker trains networks like these.

    Examples
    --------
    >>> sees("entropy"), sees("ridge")
    (['outputs'], ['weights', 'shadows'])
    """
    if name not in ATTACKS:
        return ["outputs", "weights", "shadows"]
    needs = set(ATTACKS[name].needs)
    reads = {
        "outputs": not needs & OF_WEIGHTS or "target_decoded_scores" in needs,
        "weights": bool(needs & OF_WEIGHTS),
        # Calibration by others, gradients averaged over them, or a population that they were not trained on.
        "shadows": any(need.startswith(("shadow_", "population_shadow")) for need in needs),
    }
    return [what for what, read in reads.items() if read]


def served(name: str, num_classes: int | None) -> bool:
    """Return whether a ranking of such a task has all that an attack needs."""
    return num_classes is not None or not OF_CLASSES & set(ATTACKS[name].needs)


def refuse_unserved(name: str, num_classes: int | None) -> None:
    """Refuse an attack that a ranking does not know or a regression cannot serve."""
    known("rank", "attack", name, [*ATTACKS, "whitebox", "combined"])
    if name in ATTACKS and not served(name, num_classes):
        missing = ", ".join(need for need in ATTACKS[name].needs if need in OF_CLASSES)
        raise UnsupportedSetting(
            "rank", f"attack {name} needs {missing} of classes; the task is a regression."
        )


def _flat(features):
    return features.reshape(len(features), -1)


@partial(jax.jit, static_argnames="model")
def _classes_of(layers, features, *, model):
    return model.predict(layers, features).argmax(axis=-1)


def _predicted(model, layers, shape, rows):
    return np.asarray(_classes_of(layers, jnp.asarray(rows, jnp.float32).reshape(-1, *shape), model=model))

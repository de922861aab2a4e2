"""Which attacks the outputs of networks serve, and what each is given."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from mis.attacks import ATTACKS, RMIA, Attack, BaVarIA, LiRA
from mis.numerics.checks import InvalidInput, UnsupportedSetting, known
from mis.outputs.read import Outputs

__all__ = ["Served", "choose", "given", "served", "unserved"]

OF_ALL = {"target_scores", "target_losses", "shadow_scores", "shadow_losses", "shadow_membership"}
OF_CLASSES = {
    *(
        "labels",
        "target_logits",
        "target_probabilities",
        "shadow_logits",
        "shadow_labels",
        "shadow_probabilities",
    ),
    *("population_target", "population_shadow", "population_membership"),
}
OF_PUBLIC = {"features", "public_scores", "public_features"}


@dataclass(frozen=True, kw_only=True)
class Served:
    """An attack as outputs serve it.

    Parameters
    ----------
    attack
        The attack.
    reads
        For an input of the attack what it is given, where that has another name.
    """

    attack: Attack
    reads: Mapping[str, str] = field(default_factory=dict)

    @property
    def fitted(self) -> bool:
        """Whether it looks at shadows."""
        return any(name.startswith("shadow") for name in self.attack.needs)

    @property
    def on_weights(self) -> bool:
        """Whether it looks at weights or gradients."""
        return any(name.endswith(("params", "full", "gradients", "lower")) for name in self.attack.needs)

    @property
    def direct(self) -> bool:
        """Whether a target's outputs, all of them, are all it needs."""
        return "target_logits" in self.attack.needs and not self.fitted


def _lira(reads: str = "", **options: Any) -> Served:
    names = {f"{side}_scores": f"{side}_{reads}" for side in ("target", "shadow")} if reads else {}
    return Served(attack=LiRA(**options), reads=names)


OWN = {
    "lira_pooled": _lira(variance="pooled"),
    "lira_offline": _lira(online=False),
    "lira_loss": _lira("negative_losses"),
    "bavaria_offline": Served(attack=BaVarIA(online=False)),
    "rmia_offline": Served(attack=RMIA(online=False)),
}


def given(outputs: Outputs) -> frozenset[str]:
    """Return the names of the inputs of attacks that a file serves."""
    weights = outputs.weights.inputs if outputs.weights else frozenset()
    if outputs.kind == "weights":
        return weights
    public = OF_PUBLIC if outputs.public else set()
    return weights | public | (OF_ALL | OF_CLASSES if outputs.classes else OF_ALL)


def served(given: Collection[str]) -> dict[str, Served]:
    """Return every attack that such inputs serve, by name.

    An attack of the registry whose inputs are all there is in it as it is, with variants of those that know several
    ways.

    Examples
    --------
    >>> "rmia" in served(OF_ALL), "lira_offline" in served(OF_ALL)
    (False, True)
    """
    every = {name: Served(attack=variant()) for name, variant in ATTACKS.items()} | OWN
    return {name: one for name, one in every.items() if set(one.attack.needs) <= set(given)}


def unserved(given: Collection[str]) -> dict[str, str]:
    """Return the other attacks, with what they need and is not there.

    Examples
    --------
    >>> unserved(OF_ALL | OF_CLASSES)["label_only"]
    'predict, features'
    """
    every: dict[str, Attack] = {name: variant() for name, variant in ATTACKS.items()}
    every |= {name: one.attack for name, one in OWN.items()}
    missing = {
        name: ", ".join(need for need in attack.needs if need not in given) for name, attack in every.items()
    }
    return {name: needs for name, needs in missing.items() if needs}


def choose(names: str, outputs: Outputs) -> dict[str, Served]:
    """Return the attacks of a list with commas between, or all that are served.

    Raises
    ------
    InvalidInput
        For an unknown name, one twice, or none.
    UnsupportedSetting
        For an attack that needs more than the file has.
    """
    there, missing = served(given(outputs)), unserved(given(outputs))
    if names.strip() == "all":
        return there
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if not asked or len(set(asked)) < len(asked):
        raise InvalidInput(
            f"attack: expected attacks that differ, with commas between, or all, got {names!r}."
        )
    for name in asked:
        known("attack", "attacks", name, [*there, *missing, "all"])
        if name in missing:
            raise UnsupportedSetting(
                "attack", f"{name} needs {missing[name]}, which {outputs.kind} do not tell."
            )
    return {name: there[name] for name in asked}

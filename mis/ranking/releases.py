"""What is published of a network, and how the network was trained for it.

A name is what the weights go through, after words for what was done besides, with colons between: ``qat:uniform-4``,
``tune-100:prune-90``, ``rounds-5:rewind-0:prune-90``, ``exact-vectors:sign``, ``stop-150``. Two names with a slash
between are published of the same network, side by side.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mis import quantizers
from mis.models import Model
from mis.numerics.checks import InvalidInput, UnsupportedSetting, integer, known, refuse
from mis.quantizers import Dorefa, Full, Quantizer
from mis.ranking.spec import RankingSpec
from mis.training import VECTORS, Compression, Learner, Tuning

__all__ = ["GRAMMAR", "Release", "Several", "all_parts", "parse"]

FULL = Full()

# Steps of fine-tuning where a name has no number.
TUNING = 100

GRAMMAR = {
    "stop-STEPS:": "training stops early; alone, full precision stopped early",
    "act-BITS:": "trained and run with rectifiers cut at 1 and rounded to so many bits; dorefa-W-A: act-A:qat:dorefa-W",
    "qat:": "trained through the quantizer (straight-through gradients)",
    "tune-STEPS:": "fine-tuned after it, zeros and codes fixed: survivors or levels are trained on",
    "rounds-ROUNDS:": "pruned in rounds, equal shares of what is left, and trained on after each",
    "rewind-STEP:": "after pruning the survivors go back to where they were then, 0 to the start, and train again",
    "exact-vectors:": "biases, gains and running statistics are released as they are",
    "exact-ends:": "the first and the last layer are released as they are",
    "own-vectors:": "each of these has a grid of its own, instead of its tensor's",
    "from-nonmembers:": "calibrated on examples of the pool that did not train the network, not on some that did",
    "from-heldout:": "calibrated on examples outside the pool",
}

# Where calibration examples come from.
SOURCES = ("members", "nonmembers", "heldout")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One published version of a network.

    Parameters
    ----------
    transform
        What its tensors go through: a quantizer, pruning, noise, a chain of them, or full precision.
    vectors
        What becomes of biases, gains and running statistics, see ``mis.training.Compression``.
    exact_ends
        Whether the first and the last layer are released as they are.
    source
        Where calibration examples come from, for each network its own: ``members``, those that it was trained on,
        ``nonmembers``, others of the pool, or ``heldout``, outside the pool. These also measure performance; none of
        the calibrated quantizers sees a target.
    qat
        Trained through the transform.
    tuning_steps
        Steps of fine-tuning after the transform, under what it released: zeros and codes stay. The learner's own
        rate and batches; 0 is none, but where ``rounds`` or ``rewind`` ask for it: then 100, or after rewinding as many
        as the rest of the first training had.
    rounds, rewind
        Pruning in rounds, each followed by these steps, and going back before them: see ``mis.training.Tuning``.
    activation_bits
        Bits of the hidden layers' values while training and after, see ``mis.models.Model``; None rounds nothing.
    num_steps
        Training stops there; None is the learner's own number.
    learner
        Another learner than the others' of a ranking; it then needs a ``title``.
    title
        What tables call it, instead of its name.

    Examples
    --------
    >>> release = parse("qat:exact-vectors:sign")
    >>> release.transform, release.vectors, release.qat
    (Sign(scale='fit'), 'exact', True)
    >>> Release(transform=quantizers.Prune(zeros=0.9), tuning_steps=50).name
    'tune-50:prune-90'
    """

    transform: Quantizer = FULL
    vectors: str = "merged"
    exact_ends: bool = False
    source: str = "members"
    qat: bool = False
    tuning_steps: int = 0
    rounds: int = 1
    rewind: int | None = None
    activation_bits: int | None = None
    num_steps: int | None = None
    learner: Learner | None = None
    title: str = ""

    def __post_init__(self):
        if not isinstance(self.transform, Quantizer):
            raise refuse(
                "Release", "transform", "a quantizer, as mis.quantizers.parse returns it", self.transform
            )
        known("Release", "vectors", self.vectors, VECTORS)
        known("Release", "source", self.source, SOURCES)
        if self.source != "members" and not self.transform.num_calibration:
            raise UnsupportedSetting(
                "Release", f"{self.name}: {self.transform.name} is not calibrated; leave from-{self.source}:."
            )
        if self.exact_ends and isinstance(self.transform, Full):
            raise UnsupportedSetting(
                "Release", f"{self.name}: full precision leaves every layer as it is; leave exact-ends:."
            )
        integer("Release", "tuning_steps", self.tuning_steps, at_least=0)
        integer("Release", "rounds", self.rounds, at_least=1)
        if self.rewind is not None:
            integer("Release", "rewind", self.rewind, at_least=0)
        if self.activation_bits is not None:
            integer("Release", "activation_bits", self.activation_bits, at_least=1, at_most=16)
        if self.num_steps is not None:
            integer("Release", "num_steps", self.num_steps, at_least=1)
        if self.learner is not None and not self.title:
            raise InvalidInput("Release: expected a title beside a learner of its own, got title=''.")
        if self.tuned:
            # Refuses rounds of what is no pruning.
            self.tuning(Learner())
        if self.qat and self.tuned:
            raise UnsupportedSetting(
                "Release", f"{self.name}: choose training through it or fine-tuning after it."
            )
        if self.tuned and not self.compression.has_free_levels:
            raise UnsupportedSetting(
                "Release",
                f"{self.name}: fine-tuning moves each level by itself, which that format cannot write; train through "
                f"it, qat:{self.transform.name}.",
            )
        moves = self.qat or self.tuned
        if moves and (self.compression.is_random or self.transform.num_calibration):
            raise UnsupportedSetting(
                "Release", f"{self.name}: what is random or calibrated cannot be trained through or after."
            )
        if moves and isinstance(self.transform, Full):
            raise UnsupportedSetting("Release", f"{self.name}: full precision changes no training.")

    @property
    def name(self) -> str:
        """How it is spelled; ``parse(release.name) == release`` where it has no learner of its own."""
        if self.title:
            return self.title
        words = [f"stop-{self.num_steps}"] if self.num_steps else []
        last, together = self.transform.name, self.qat and isinstance(self.transform, Dorefa)
        if together and self.activation_bits:
            last = f"{last}-{self.activation_bits}"
        elif self.activation_bits:
            words += [f"act-{self.activation_bits}"]
        words += ["qat"] if self.qat and last == self.transform.name else []
        words += [f"rounds-{self.rounds}"] if self.rounds > 1 else []
        words += [f"rewind-{self.rewind}"] if self.rewind is not None else []
        words += [f"tune-{self.tuning_steps}"] if self.tuning_steps else []
        words += [f"{self.vectors}-vectors"] if self.vectors != "merged" else []
        words += ["exact-ends"] if self.exact_ends else []
        words += [f"from-{self.source}"] if self.source != "members" else []
        stopped_only = words and words == words[:1] and self.num_steps and isinstance(self.transform, Full)
        return ":".join(words if stopped_only else [*words, last])

    @property
    def parts(self) -> tuple["Release", ...]:
        """The releases that are published together: this one."""
        return (self,)

    @cached_property
    def compression(self) -> Compression:
        """What the matrices of a network go through."""
        return Compression(quantizer=self.transform, vectors=self.vectors, exact_ends=self.exact_ends)

    @property
    def tuned(self) -> bool:
        """Whether its networks are trained on after the transform."""
        return bool(self.tuning_steps) or self.rounds > 1 or self.rewind is not None

    @property
    def learned(self) -> bool:
        """Whether levels were trained with the weights, and training ended in the released ones."""
        return self.qat and self.transform.learns

    def tuning(self, learner: Learner) -> Tuning | None:
        """Return how networks that were trained so are trained on; None where they are not."""
        if not self.tuned:
            return None
        rest = TUNING if self.rewind is None else max(learner.num_steps - self.rewind, 1)
        return Tuning(
            compression=self.compression,
            num_steps=self.tuning_steps or rest,
            rounds=self.rounds,
            rewind=self.rewind,
        )

    @property
    def published(self) -> Compression:
        """What a trained network goes through when it is published: nothing, where training ended in the release."""
        return Compression(quantizer=Full()) if self.tuned or self.learned else self.compression

    @property
    def post_training(self) -> bool:
        """Whether it is made of the networks that all others of a ranking start from."""
        return not (self.qat or self.tuned or self.num_steps or self.learner or self.activation_bits)

    def bits(self, model: Model) -> float:
        """Return the bits that a parameter of a network takes, with all that is published beside the codes."""
        return self.compression.bits(model)

    def trained_by(self, learner: Learner) -> Learner:
        """Return the learner of its networks, before any fine-tuning."""
        learner = learner if self.learner is None else self.learner
        if self.num_steps:
            learner = replace(learner, num_steps=self.num_steps)
        return replace(learner, forward=self.compression) if self.qat else learner

    def networks(self, spec: RankingSpec) -> RankingSpec:
        """Return what its networks are in a ranking whose other networks are these; refuse what cannot be trained."""
        learner = self.trained_by(spec.learner)
        model = (
            replace(spec.model, activation_bits=self.activation_bits) if self.activation_bits else spec.model
        )
        return replace(spec, model=model, learner=learner, tuning=self.tuning(learner))

    def check(self, model: Model, num_trained: int, num_heldout: int) -> None:
        """Refuse a network that it has nothing to do with, and fewer examples than it is calibrated on.

        ``num_trained`` examples of the pool train a network, and no fewer do not.
        """
        self.compression.check(model)
        count, found = (
            self.transform.num_calibration,
            num_heldout if self.source == "heldout" else num_trained,
        )
        if count > found:
            fewer = f"; ask for fewer with -examples-{found}" if hasattr(self.transform, "examples") else ""
            raise InvalidInput(
                f"rank: expected at least {count} examples to calibrate {self.name} on, got {found}{fewer}."
            )


@dataclass(frozen=True, kw_only=True)
class Several:
    """Several releases, published together, of networks with the same training examples.

    Who attacks sees them side by side. Where none of them changes the training they are of the same trained weights.

    Parameters
    ----------
    releases
        At least two, all different.

    Examples
    --------
    >>> parse("sign/uniform-4").name
    'sign/uniform-4'
    """

    releases: tuple[Release, ...]

    def __post_init__(self):
        object.__setattr__(self, "releases", tuple(self.releases))
        if len(self.releases) < 2 or len(set(self.releases)) < len(self.releases):
            raise InvalidInput(f"Several: expected two releases or more that differ, got {self.name}.")

    @property
    def name(self) -> str:
        """The names, with slashes between."""
        return "/".join(release.name for release in self.releases)

    @property
    def parts(self) -> tuple[Release, ...]:
        """The releases that are published together."""
        return self.releases

    def bits(self, model: Model) -> float:
        """Return the bits of all together."""
        return sum(release.bits(model) for release in self.releases)

    def check(self, model: Model, num_trained: int, num_heldout: int) -> None:
        """Refuse a network that one of them has nothing to do with."""
        for release in self.releases:
            release.check(model, num_trained, num_heldout)


def parse(asked: str | Quantizer | Release | Several) -> Release | Several:
    """Return the release that a name spells; a quantizer is the release of every network by it, after training.

    Raises
    ------
    InvalidInput
        Where there is none of that name; the message says which words there are.

    Examples
    --------
    >>> parse("stop-150").num_steps
    150
    """
    if isinstance(asked, Release | Several):
        return asked
    if isinstance(asked, Quantizer):
        return Release(transform=asked)
    if not isinstance(asked, str):
        raise refuse("rank", "releases", "names, quantizers or releases", asked)
    names = [name.strip() for name in asked.split("/")]
    if not all(names):
        raise InvalidInput(f"rank: expected a release, or several with a slash between, got {asked!r}.")
    try:
        releases = [_one(name) for name in names]
    except InvalidInput as error:
        if len(names) == 1:
            raise
        raise InvalidInput(f"{error} It is part of {asked!r}, which stands for several.") from None
    return releases[0] if len(releases) == 1 else Several(releases=tuple(releases))


def _one(name: str) -> Release:
    *words, last = name.split(":")
    if re.fullmatch(r"stop-\d+", last):
        words, last = [*words, last], "full"
    found: dict[str, object] = {}
    if both := re.fullmatch(r"(dorefa-\d+)-(\d+)", last):
        last, found = both[1], {"qat": True, "activation_bits": int(both[2])}
    for word in words:
        head, _, number = word.partition("-")
        if word == "qat":
            option: tuple[str, object] = ("qat", True)
        elif head == "tune" and (not number or number.isdecimal()):
            option = ("tuning_steps", int(number or TUNING))
        elif head == "act" and number.isdecimal():
            option = ("activation_bits", int(number))
        elif head in ("rounds", "rewind") and number.isdecimal():
            option = (head, int(number))
        elif head == "stop" and number.isdecimal():
            option = ("num_steps", int(number))
        elif word in ("exact-vectors", "own-vectors"):
            option = ("vectors", head)
        elif word == "exact-ends":
            option = ("exact_ends", True)
        elif head == "from" and number in SOURCES:
            option = ("source", number)
        else:
            raise InvalidInput(
                f"rank: expected one of {' '.join(GRAMMAR)} before the last colon of {name!r}, got {word!r}."
            )
        if option[0] in found:
            raise InvalidInput(f"rank: expected each word once, got {name!r}.")
        found[option[0]] = option[1]
    return Release(transform=quantizers.parse(last), **found)  # type: ignore[arg-type]


def all_parts(releases: Sequence[Release | Several]) -> list[Release]:
    """Return every single release among them, once each."""
    return list(dict.fromkeys(part for release in releases for part in release.parts))

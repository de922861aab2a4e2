"""What the study of gradient leakage runs, at three sizes."""

from dataclasses import dataclass, replace

from mis.attacks.inversion import MOST_IMAGES
from mis.attacks.inversion.target import PULL
from mis.numerics.checks import InvalidInput, integer, known, number, refuse
from mis.quantizers.gradients import parse_gradient

__all__ = ["ATTACKERS", "MOST_ROUNDED", "NONE", "Settings", "sized"]

NONE = "full"
NETWORKS = ("lenet", "mlp")
ATTACKERS = {
    "dlg": "L-BFGS, image and soft label, takes the release for the gradient (DLG)",
    "naive": "L-BFGS, label inferred first, takes the release for the gradient (iDLG)",
    "adapted": "L-BFGS, label inferred first, matches what the release says: cells, hats, likelihood of the noise",
    "rounded": "Adam, label inferred first, quantizes the dummy gradient (straight-through)",
    "cosine": "Adam, label inferred first, cosine distance and total variation",
}
DEFENCES = (
    *(NONE, "levels-20", "levels-120", "levels-240-stochastic", "power-of-two-4", "codebook-16", "sign"),
    *("prune-10", "prune-40", "top-10", "noise-20", "laplace-20"),
)
CURVES = (
    "levels-20",
    "power-of-two-4",
    "codebook-16",
    "sign",
    "prune-40",
    "top-10",
    "noise-20",
    "laplace-20",
)
# The other strengths that were published.
FINER = ("levels-40", "levels-120-stochastic", "prune-1", "prune-20", "prune-30")
# Rounding the dummy gradient is tried where a level is coarse; with more of them it is the cells' attack, slower.
MOST_ROUNDED = 32


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen data: everything that decides a number.

    Parameters
    ----------
    seed
        Decides images, networks, dummies and noise.
    tasks
        Names of sets of images.
    folder
        Of cifar-10; empty is MIS_DATA.
    networks
        ``lenet`` with sigmoids, weights uniform in [-1/2, 1/2]; ``mlp``, one hidden layer, attacked without a defence.
    defences
        Names of gradient quantizers; ``full`` is none.
    attackers
        Keys of ``ATTACKERS``, on every defence they know; ``dlg`` on ``published`` alone.
    published
        Defences that were published with numbers.
    images, starts
        Images, each with a network of its own, and dummies tried on each.
    batches
        Sizes beyond one image, without a defence and with ``defences[1]``.
    steps, adam_steps
        Iterations of L-BFGS and of Adam.
    curves
        Defences of the training curves; ``epochs`` of ``trained`` images, at most two thirds of a task's, ``runs``
        times.
    rounds
        T of the theory's composition.
    hidden
        Defences that hide members, for the theory alone: noise so large that bounds say something.
    pull
        Pull of the adapted attacker to the middle of a cell, against what leaves it; see ``inversion.adapted``.
    """

    seed: int = 0
    tasks: tuple[str, ...] = ("digits", "fashion-mnist")
    folder: str = ""
    networks: tuple[str, ...] = NETWORKS
    defences: tuple[str, ...] = DEFENCES
    attackers: tuple[str, ...] = ("dlg", "naive", "adapted", "rounded", "cosine")
    published: tuple[str, ...] = (NONE, "levels-120", "levels-240-stochastic", "prune-10")
    images: int = 32
    starts: int = 4
    batches: tuple[int, ...] = (2, 4, 8)
    steps: int = 90
    adam_steps: int = 200
    curves: tuple[str, ...] = (NONE, "levels-16", "levels-16-stochastic", "prune-20", *CURVES)
    epochs: int = 6
    trained: int = 2000
    runs: int = 3
    rounds: int = 10
    hidden: tuple[str, ...] = ("noise-1000", "laplace-1000", "levels-2-stochastic")
    pull: float = PULL

    def __post_init__(self):
        for name in ("images", "starts", "steps", "adam_steps", "epochs", "runs", "rounds"):
            integer("leakage", name, getattr(self, name), at_least=1)
        integer("leakage", "images", self.images, at_least=2, at_most=512)
        integer("leakage", "trained", self.trained, at_least=64)
        for name in (*self.defences, *self.published, *self.curves, *self.hidden):
            parse_gradient(name)
        if number("leakage", "pull", self.pull) < 0:
            raise refuse("leakage", "pull", ">= 0", self.pull)
        if not self.tasks:
            raise InvalidInput("leakage: expected at least one task, got none.")
        if NONE not in self.defences or NONE not in self.curves:
            raise InvalidInput(f"leakage: expected defences and curves with {NONE}, to compare with.")
        for batch in self.batches:
            integer("leakage", "batches", batch, at_least=1, at_most=MOST_IMAGES)
            if batch > self.images:
                raise InvalidInput(
                    f"leakage: expected batches of at most {self.images} images, as many as there are, got {batch}."
                )
        for attacker in self.attackers:
            known("leakage", "attackers", attacker, ATTACKERS)
        for network in self.networks:
            known("leakage", "networks", network, NETWORKS)


def sized(size: str, seed: int, folder: str | None) -> Settings:
    """Return the settings of one of three sizes."""
    settings = Settings(seed=seed, folder=folder or "")
    if size == "quick":
        return replace(
            settings,
            tasks=("digits",),
            defences=(
                NONE,
                "levels-20",
                "levels-120",
                "levels-240-stochastic",
                "prune-40",
                "sign",
                "noise-20",
            ),
            attackers=("dlg", "naive", "adapted"),
            images=16,
            starts=2,
            batches=(),
            steps=80,
            curves=(NONE, "levels-20", "prune-40", "sign"),
            epochs=4,
            trained=1000,
            runs=3,
            rounds=5,
            hidden=("noise-1000",),
        )
    if size == "full":
        return replace(
            settings,
            tasks=("digits", "fashion-mnist", "cifar-10") if folder else settings.tasks,
            defences=(*DEFENCES, *FINER),
            images=128,
            starts=8,
            steps=300,
            adam_steps=2400,
            curves=tuple(dict.fromkeys((*settings.curves, *DEFENCES, *FINER))),
            epochs=20,
            trained=4000,
            runs=5,
        )
    return settings

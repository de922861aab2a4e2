"""What the study of compressed releases runs, at three sizes, and what was published."""

from dataclasses import dataclass, replace

from mis.numerics.checks import InvalidInput, integer, known
from mis.ranking.releases import parse
from mis.works.ranked import Published

__all__ = ["ATTACKERS", "FULL", "MIXED", "PUBLISHED", "RULE", "STRONGEST", "WITH", "Settings", "settings"]

WORK = "CompLeak (arXiv:2507.16872)"
FULL = "full"
PRUNED = tuple(f"tune-STEPS:prune-{zeros}" for zeros in (60, 70, 80, 90))
INT8, CLUSTERED = "qat:uniform-8", tuple(f"tune-STEPS:codebook-{count}" for count in (4, 8, 16))

# One network of the attacker's own, trained on data of his own: what was published.
ATTACKERS = {
    "loss": "threshold on the loss",
    "modified_entropy": "modified entropy, a threshold for each class",
    "rmia": "RMIA, one reference network, a population that trained no network",
    "trained": "classifier of sorted confidences, losses and label",
}
# Networks of the same pool, chosen on others.
STRONGEST = ("loss", "rmia", "lira")
RULE = "border row or column exactly zero"

# Printed with their code, which does not say whether the original is among the releases: beside both.
MIXED, CLUSTERS, WITH = "prunings and int8", "clusterings", ", the original with them"
SOURCE = f"{WORK}: MR, ResNet-18, CIFAR-10, four prunings and int8, members queried augmented"
PUBLISHED = tuple(
    Published(name, column, value, SOURCE)
    for column, value in (("balanced_accuracy", 0.698), ("auc", 0.777))
    for name in (MIXED, MIXED + WITH)
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen data: everything that decides a number.

    Parameters
    ----------
    seed
        Decides pools, networks, halves and what attacks draw.
    task, folder
        Name of a set of images with classes; where its data lie, if they do not come with the package.
    model
        The network.
    pools
        Pairs of disjoint pools, one of the victims' examples and one of the attacker's.
    pool
        Examples in each of the two; half of them train each network.
    networks
        Victims of each pair, and as many networks of attackers, one for each.
    steps
        Of training; 0 is the network's own.
    tuning
        Steps of fine-tuning after pruning or clustering.
    pruned, clustered
        Of the releases with ``STEPS`` for these; with int8 beside them.
    classifier
        Of the trained attacks: ``logistic``, ``forest`` or ``network``.
    padding
        Of the random crop that members are queried with in the row that repeats it.
    """

    seed: int = 0
    task: str = "fashion-mnist"
    folder: str = ""
    model: str = "mlp"
    pools: int = 1
    pool: int = 1000
    networks: int = 32
    steps: int = 0
    tuning: int = 100
    pruned: tuple[str, ...] = PRUNED
    clustered: tuple[str, ...] = CLUSTERED
    classifier: str = "forest"
    padding: int = 4

    def __post_init__(self):
        integer("compleak", "pools", self.pools, at_least=1)
        integer("compleak", "pool", self.pool, at_least=64)
        integer("compleak", "networks", self.networks, at_least=32)
        integer("compleak", "tuning", self.tuning, at_least=1)
        integer("compleak", "steps", self.steps, at_least=0)
        integer("compleak", "padding", self.padding, at_least=1)
        known("compleak", "classifier", self.classifier, ("logistic", "forest", "network"))
        if not self.pruned:
            raise InvalidInput(
                "compleak: expected at least one pruning, from the least to the most, got none."
            )
        for name in self.compressed:
            parse(name)

    @property
    def compressed(self) -> tuple[str, ...]:
        """Names of the compressed releases."""
        return (*self._of(self.pruned), INT8, *self._of(self.clustered))

    @property
    def multiple(self) -> dict[str, tuple[str, ...]]:
        """Several compressed releases together, by what they are called, with the original and without."""
        mixed, clusters = (*self._of(self.pruned), INT8), self._of(self.clustered)
        found = {MIXED: mixed} | ({CLUSTERS: clusters} if len(clusters) > 1 else {})
        return found | {name + WITH: (FULL, *releases) for name, releases in found.items()}

    @property
    def strong(self) -> tuple[str, ...]:
        """The most pruned, and the fewest centroids."""
        return (self._of(self.pruned)[-1], *self._of(self.clustered)[:1])

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """Everything that an attacker may see, by name: one release, the original and one, several."""
        single = {name: (name,) for name in (FULL, *self.compressed)}
        return single | {f"{FULL}/{name}": (FULL, name) for name in self.compressed} | self.multiple

    def _of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.replace("STEPS", str(self.tuning)) for name in names)


def settings(size: str, seed: int, folder: str | None) -> Settings:
    """Return the settings of one of three sizes."""
    found = Settings(seed=seed, folder=folder or "")
    if size == "quick":
        ends = [(names[0], names[-1]) for names in (PRUNED, CLUSTERED)]
        return replace(found, pool=500, pruned=ends[0], clustered=ends[1])
    if size == "full":
        return replace(
            found, task="cifar-10", model="resnet-18", pool=20000, networks=32, steps=16000, tuning=4700
        )
    return found

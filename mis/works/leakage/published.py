"""What was published, with where it stands."""

from typing import NamedTuple

__all__ = ["PUBLISHED", "Published"]

WORK = "Quaedvlieg, Menon, Bhadang, gradient quantization against deep leakage from gradients"


class Published(NamedTuple):
    """A number: of which defence, what, after how many iterations or epochs, from where."""

    defence: str
    quantity: str
    after: int
    value: float
    source: str

    @property
    def when(self) -> str:
        """After what, in words; empty where that says nothing."""
        if self.quantity == "matching_loss":
            return f"after {self.after} iterations"
        return "after 1 epoch" if self.quantity == "test_accuracy" else ""


# One seed, chosen because it converges; LeNet with sigmoids, weights uniform in [-1/2, 1/2], 32 x 32 images.
ONE_SEED = f"{WORK}: one fixed seed that converges"
PUBLISHED: tuple[Published, ...] = (
    Published("full", "matching_loss", 0, 31.98, ONE_SEED),
    Published("full", "matching_loss", 10, 0.61, ONE_SEED),
    Published("full", "matching_loss", 20, 0.134, ONE_SEED),
    Published("full", "matching_loss", 40, 0.0053, ONE_SEED),
    Published("full", "matching_loss", 90, 0.0, ONE_SEED),
    Published("levels-120", "matching_loss", 90, 0.271, ONE_SEED),
    Published("levels-240-stochastic", "matching_loss", 90, 0.377, ONE_SEED),
    Published("prune-10", "matching_loss", 90, 0.025, ONE_SEED),
    Published(
        "full", "seconds_per_100_iterations", 100, 46.6, f"{WORK}: a seed at a time, a data-centre GPU"
    ),
    Published("prune-40", "test_accuracy", 1, 0.479, f"{WORK}: ResNet-18, CIFAR-10"),
    Published("prune-40", "best_test_accuracy", 0, 0.735, f"{WORK}: ResNet-18, CIFAR-10"),
)

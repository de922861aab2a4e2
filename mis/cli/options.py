"""Specs: options of ``mis rank`` that stand in groups of their own."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

from mis.cli.inputs import Switch, convert

__all__ = ["LEARNER", "MODEL", "TASK", "LearnerOptions", "ModelOptions", "TaskOptions"]

# Said again where options stand in a class of their own: the default converter does not reach them there.
Whole = Annotated[int | None, Parameter(converter=convert)]
Real = Annotated[float | None, Parameter(converter=convert)]
Text = Annotated[str | None, Parameter(converter=convert)]


@Parameter(
    name="*",
    group=Group("Learner options", help="How each network is trained.", sort_key=2),
)
@dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """How the networks are trained; None leaves it to ``mis.rank``.

    Parameters
    ----------
    pool
        Examples in the pool, half of which train each network [512, of a small task as many as leave 128 held out,
        but at least half].
    num_steps
        Training steps [600; 300 of convolutional networks].
    batch_size
        Examples per step [64].
    optimiser
        adam, momentum or sgd [adam].
    learning_rate
        Step size [0.001 for regression, 0.003 for classification].
    weight_decay
        Decoupled weight decay [0].
    initialisation
        fixed: one initial point for all networks; random: one each [fixed].
    """

    pool: Annotated[Whole, Parameter(alias="--n")] = None
    num_steps: Annotated[Whole, Parameter(name=["--num-steps", "--steps"])] = None
    batch_size: Annotated[Whole, Parameter(name=["--batch-size", "--batch"])] = None
    optimiser: Text = None
    learning_rate: Annotated[Real, Parameter(name=["--learning-rate", "--rate"])] = None
    weight_decay: Real = None
    initialisation: Text = None


@Parameter(
    name="*",
    group=Group("Network options", help="Only for networks that have them; see `mis list`.", sort_key=1),
)
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What network is trained; None leaves it to ``mis.rank``.

    Parameters
    ----------
    model
        mlp, lenet, resnet-8, resnet-18, or one of your own as FILE.py:NAME: a function of input_shape and num_classes
        that returns two functions, init(key) -> params and apply(params, features) -> outputs, in JAX [mlp].
    width
        Of mlp: hidden units per layer [32]. Of resnets: channels of the first stage.
    depth
        Of mlp: hidden layers [1]; 0 is linear or logistic regression.
    activation
        Of lenet: relu, or sigmoid, the network of studies of gradient inversion [relu].
    norm
        Of resnets: group or batch normalisation [group].
    """

    model: Text = None
    width: Whole = None
    depth: Whole = None
    activation: Text = None
    norm: Text = None


@Parameter(
    name="*", group=Group("Task options", help="Only for tasks that have them; see `mis list`.", sort_key=3)
)
@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What is sampled; None leaves it to the task.

    Parameters
    ----------
    images
        Of digits: keep the pixels as an image, standardised all alike.
    folder
        Of fashion-mnist-full and cifar-10: where their files lie [MIS_DATA, or the system's].
    num_modes
        Of modes: number of Gaussian modes, one class each.
    separation
        Of modes: distance between two of them in standard deviations.
    dim
        Of modes, logistic and linear: number of features.
    strength
        Of logistic: length of the coefficient vector.
    r_squared
        Of linear: share of the target's variance that the features explain.
    law_seed
        Of modes, logistic and linear: decides the law itself.
    num_heldout
        Of modes, logistic and linear: held-out examples.
    regression
        Of your own file: integers are values, not classes.
    classification
        Of your own file: floats are classes, not values.
    """

    images: Switch = False
    folder: Text = None
    num_modes: Whole = None
    separation: Real = None
    dim: Whole = None
    strength: Real = None
    r_squared: Real = None
    law_seed: Whole = None
    num_heldout: Whole = None
    regression: Switch = False
    classification: Switch = False


# No option typed.
MODEL, LEARNER, TASK = ModelOptions(), LearnerOptions(), TaskOptions()

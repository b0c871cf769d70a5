"""Networks on labelled inputs."""

from typing import Any

import equinox as eqx

from .. import _checks
from .._types import Array, ArrayLike, DTypeLike
from .base import AbstractProblem, check_options, fitting
from .losses import AbstractLoss


class Supervised(AbstractProblem):
    """Labelled inputs for any Equinox module.

    What is measured of a network are its predictions at these inputs: they stand where other problems have the
    end-to-end matrix, and ``rf.Record(measures=[f])`` calls ``f`` with them. Start from an Equinox module, which is
    called on one input at a time, or from `rankfall.networks.Network`, which holds several as lanes.

    Parameters
    ----------
    inputs : array_like, shape (observations, ...)
        The first axis counts the inputs; the rest is the shape that the module is called with.
    targets : array_like, shape (observations,) or (observations, outputs)
        What the module is to give: a number (of shape ``()`` or ``(1,)``), or as many as there are outputs.
    loss : {"half_sse", "mse", "huber", "logistic", "exponential", "poisson"} or AbstractLoss
        Of each number; summed, but for ``"mse"``. Logistic and exponential are of labels -1 and +1, Poisson of counts.
    dtype : {"float64", "float32"}

    Raises
    ------
    ValueError
        If shapes differ, nothing is observed, a target does not suit the loss, or a number is NaN or infinite.

    Examples
    --------
    >>> import equinox as eqx, jax, rankfall as rf
    >>> problem = rf.Supervised([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [-1, 1, 1, -1], loss="logistic")
    >>> network = eqx.nn.MLP(2, "scalar", 8, depth=1, activation=jax.nn.tanh, key=jax.random.key(0))
    >>> run = rf.train(problem, network, rf.AdaptiveDescent(), stop=rf.Stop(loss=1e-2))
    >>> run.stop_reason, bool(run.final.network([0.0, 1.0]) > 0)
    ('loss', True)
    """

    inputs: Array
    values: Array
    truth: Array | None
    shape: tuple[int, ...] = eqx.field(static=True)
    loss_function: AbstractLoss = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    def __init__(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        *,
        loss: str | AbstractLoss = "half_sse",
        dtype: DTypeLike = "float64",
    ) -> None:
        self.loss_function, self.dtype = check_options(loss, dtype)
        x, y = _checks.real("inputs", inputs, self.dtype), _checks.real("targets", targets, self.dtype)
        if x.ndim < 1 or 0 in x.shape:
            raise ValueError(f"inputs has shape {x.shape}, but must be (observations, ...), at least one of each.")
        if y.ndim not in (1, 2) or 0 in y.shape:
            raise ValueError(f"targets has shape {y.shape}, but must be (observations,) or (observations, outputs).")
        _checks.same_shape("targets", y.shape[:1], x.shape[:1], "one row for each row of inputs")
        _checks.finite("inputs", x)
        _checks.finite("targets", y)
        self.loss_function.check_targets("targets", y)
        self.inputs, self.values = x, y.reshape(-1)
        self.shape = tuple(int(n) for n in y.shape)
        self.truth = self.infimal_rank = self.infimal_erank = self.required_det_sign = None

    @property
    def observed(self) -> int:
        """Number of observed numbers (inputs times outputs)."""
        return self.values.shape[-1]

    @property
    def samples(self) -> int:
        """Number of labelled inputs."""
        return self.inputs.shape[0]

    @property
    def targets(self) -> Array:
        """What the module is to give, shape ``(observations, ...)``; `values` are the same in C order."""
        return self.values.reshape(-1, *self.shape[1:])

    def predict(self, full: Array) -> Array:
        """Predictions at the inputs, flattened, shape ``(..., observed)``."""
        outputs = fitting(full, self.targets.shape)
        return outputs.reshape(*outputs.shape[: outputs.ndim - self.targets.ndim], -1)

    def adjoint(self, values: Array) -> Array:
        """Give every number its place among the predictions."""
        return values.reshape(*values.shape[:-1], *self.targets.shape)

    def end_to_end(self, model: Any) -> Array:
        """Predictions of a network at the inputs, shape ``(..., *shape)``."""
        found = model.outputs(self.inputs)
        # A network of one output may give a number or an array of one.
        return found.reshape(*found.shape[: 0 if model.lanes is None else 1], *self.targets.shape)

    @property
    def wanted_start(self) -> str:
        """What a start of training has to be, in the words of an error's text."""
        return "a network; pass an Equinox module, or rf.networks.Network(module)"

    def check_model(self, model: Any) -> None:
        """Refuse what is no network, or one whose outputs are not those of the targets."""
        shape, outputs = model.output_shape(self.inputs), self.targets.shape[1:]
        if shape not in (outputs, (1,) if not outputs else outputs):
            raise ValueError(
                f"start gives an array of shape {shape} for an input, but must give {outputs}, as the targets have; "
                "build a network of as many outputs."
            )

    def part(self, which: Array) -> "Supervised":
        """Return the problem of some of the labelled inputs."""
        chosen = (self.inputs[which], self.targets[which].reshape(-1))
        return eqx.tree_at(lambda p: (p.inputs, p.values), self, chosen)

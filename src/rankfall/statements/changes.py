"""Single changes of the science, each with the statements of which one has to notice."""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np


class Change(NamedTuple):
    """A function to replace.

    Attributes
    ----------
    name, what : str
        Short identifier, and the change in words.
    place, attribute : str
        Module of this package, ``module:Class`` for a class in it, and the name of the function there.
    make : callable
        Turns the function into another.
    statements : tuple of str
        Statements of ``rankfall verify`` that are asked, in this order.

    Examples
    --------
    >>> from rankfall.statements.changes import CHANGES
    >>> CHANGES[0].name, CHANGES[0].found()[1].__name__
    ('entry-bound-weaker', 'unobserved_lower_bound')
    """

    name: str
    what: str
    place: str
    attribute: str
    make: Callable[[Any], Any]
    statements: tuple[str, ...]

    def found(self) -> tuple[Any, Any]:
        """Return the module or class, and its function."""
        module, _, kind = self.place.partition(":")
        owner = importlib.import_module(f"{__package__.rpartition('.')[0]}.{module}")
        owner = getattr(owner, kind) if kind else owner
        return owner, getattr(owner, self.attribute)


def _times(factor: float) -> Callable[[Any], Any]:
    """Multiply what a function returns."""
    return lambda original: lambda *a, **k: factor * original(*a, **k)


def _after(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Change what a function returns."""
    return lambda original: lambda *a, **k: change(original(*a, **k))


def _before(change: Callable[..., tuple[Any, ...]]) -> Callable[[Any], Any]:
    """Change what a function is given."""
    return lambda original: lambda *a, **k: original(*change(*a), **k)


def _entry(name: str, factor: float) -> Callable[[Any], Any]:
    """Multiply one number of the velocity that a system returns."""

    def make(original: Any) -> Any:
        def velocity(*arguments: Any, **named: Any) -> Any:
            found = original(*arguments, **named)
            return type(found)(**{**vars(found), name: factor * getattr(found, name)})

        return velocity

    return make


def _residuals(original: Any) -> Any:
    """Let carried residuals move at 1.01 of their rate."""

    def velocity(self: Any, problem: Any, state: Any, constants: Any) -> Any:
        found = original(self, problem, state, constants)
        if state.residuals is None:
            return found
        polar = importlib.import_module(f"{__package__.rpartition('.')[0]}.dynamics.flow.polar")
        drawn = polar._drawn(problem, polar._matrix(state, polar._decompose(state)), state, constants)
        moved = jnp.where(constants.other.carried, 1.01 * (found.residuals - drawn) + drawn, 0.0)
        return type(found)(**{**vars(found), "residuals": moved})

    return velocity


def _weights(factor: float) -> Callable[[Any], Any]:
    """Multiply the list of gradients that a function returns."""
    return _after(lambda slopes: type(slopes)(factor * g for g in slopes))


def _lenient(original: Any) -> Any:
    """Let the checker allow a hundredth."""
    return lambda statement, *rest: original(statement._replace(tolerance=1e-2), *rest)


_SHARP, _SPECTRA = ("sharp-bounds",), ("known-spectra",)
_BOUNDS, _FLOW = "theory.bounds", "dynamics.flow"

CHANGES = (
    # Bounds and laws
    Change("entry-bound-weaker", "sharp bound on the entry times 0.9", _BOUNDS, "unobserved_lower_bound", _times(0.9), _SHARP),
    Change("entry-bound-stronger", "sharp bound on the entry times 1.1", _BOUNDS, "unobserved_lower_bound", _times(1.1), _SHARP),
    Change("distance-bound-weaker", "bound on the distance times 1.1", _BOUNDS, "smallest_singular_value_bound", _times(1.1), _SHARP),
    Change("share-bound-weaker", "bound on the share times 1.1", _BOUNDS, "second_share_bound", _times(1.1), _SHARP),
    Change("share-bound-stronger", "bound on the share times 0.99", _BOUNDS, "second_share_bound", _times(0.99), _SHARP),
    Change("erank-bound-weaker", "excess of the effective-rank bound times 1.1", _BOUNDS, "effective_rank_bound", _after(lambda b: 1 + 1.1 * (b - 1)), _SHARP),
    Change("suboptimality-bound", "bound on rank suboptimality times 1.1", _BOUNDS, "rank_suboptimality_bound", _times(1.1), _SHARP),
    Change("residual-share", "8 loss in place of 4 loss in the sharp bound", _BOUNDS, "_residual_share", _before(lambda loss: (2 * loss,)), _SHARP),
    Change("paper-norm-constant", "c in place of c^2 in the paper's norm bound", "theory.published", "theorem1_norm_bound", lambda f: lambda loss, a, b, c=1.0: f(loss, a, b, c) + 8.0 * (c**2 - c) * b, _SHARP),
    Change("paper-norm-bound", "the paper's norm bound times 0.9", "theory.published", "theorem1_norm_bound", _times(0.9), _SHARP),
    Change("paper-erank-bound", "ln 2 left out of the paper's effective-rank bound", "theory.published", "theorem1_effective_rank_bound", _after(lambda b: 1 + np.log(2) * (b - 1)), _SHARP),
    Change("paper-distance-bound", "2 in place of 3 in the paper's distance bound", "theory.published", "theorem1_distance_bound", _times(2 / 3), _SHARP),
    Change("perturbed-entry-bound", "geometric bound of perturbed problems times 0.9", "theory.perturbation", "perturbed_unobserved_lower_bound", _times(0.9), _SHARP),
    Change("perturbed-distance-bound", "the perturbation left out of the distance", "theory.perturbation", "perturbed_distance_bound", lambda f: lambda loss, eps: f(loss, 0.0), _SHARP),
    Change("minimiser-radius", "radius of minimisers times 2", "theory.solution_set", "minimiser_radius", _times(2.0), _SHARP),
    Change("step-size-ceiling", "largest stable step times 2", "theory.rates", "step_size_ceiling", _times(2.0), _SHARP),
    Change("law-of-time", "time of a loss times 1.05", "theory.rates", "flow_time", _times(1.05), ("laws",)),
    Change("law-of-the-entry", "entry at a time times 1.05", "theory.rates", "unobserved_at_time", _times(1.05), ("laws",)),
    Change("law-of-escape", "time of escape times 1.05", "theory.rates", "escape_time", _times(1.05), ("laws",)),
    Change("law-of-depth", "determinant at depth 3 and more times 1.05", "theory.rates", "depth_law_determinant", _times(1.05), ("laws",)),
    # Measures
    Change("effective-rank-in-base-two", "entropy in nats to the base two", "measures.spectrum", "effective_rank", _after(lambda r: r ** np.log(2)), _SPECTRA),
    Change("half-the-excess", "half the excess of the effective rank", "measures.spectrum", "effective_rank", _after(lambda r: (1 + r) / 2), _SPECTRA),
    Change("mean-of-powers", "mean in place of a sum of Schatten powers", "measures.spectrum", "schatten_norm", lambda f: lambda s, p: f(s, p) / (1 if np.isinf(p) else np.shape(s)[-1] ** (1 / p)), _SPECTRA),
    Change("distance-to-rank", "distance to one rank more", "measures.spectrum", "distance_to_rank", lambda f: lambda s, rank: f(s, rank + 1), _SPECTRA),
    Change("stable-rank", "root of the stable rank", "measures.spectrum", "stable_rank", _after(np.sqrt), _SPECTRA),
    Change("numerical-rank", "one less than the numerical rank", "measures.spectrum", "numerical_rank", _after(lambda r: r - 1), _SPECTRA),
    Change("rank-suboptimality", "half of rank suboptimality", "measures.spectrum", "rank_suboptimality", _times(0.5), _SPECTRA),
    Change("ky-fan", "one singular value less in the Ky Fan norm", "measures.norms", "ky_fan_norm", lambda f: lambda w, k: f(w, max(k - 1, 1)), _SPECTRA),
    Change("singular-values", "singular values times 1.001", "measures.singular_values", "singular_values", _times(1.001), _SPECTRA),
    Change("unbalancedness", "half of the imbalance", "measures.factors", "unbalancedness", _times(0.5), _SPECTRA),
    Change("determinant", "half the logarithm of the determinant", "measures.factors", "log_abs_det", _times(0.5), _SPECTRA),
    # Solutions and regression
    Change("solution-set", "a tenth of the unobserved entry at the observed zero", "theory.solution_set", "solution", _after(lambda w: w + 0.1 * w[..., ::-1, ::-1] * [[0.0, 0.0], [0.0, 1.0]]), ("rank-of-solutions",)),
    Change("sign-rule", "the other sign of the determinant", "theory.sign_rule", "required_det_sign", _times(-1), ("positions", "theorem-2")),
    Change("interpolator", "interpolator of least norm times 1.01", "theory.regression", "min_l2_interpolator", _times(1.01), ("regression",)),
    Change("linear-path", "closed form of depth 1, a hundredth short of its end", "dynamics.linear_path:LinearPath", "flow", _times(0.99), ("regression",)),
    # Flows and descent
    Change("weight-off-the-diagonal", "1/L in place of 2/L in the weights off the diagonal", "dynamics.flow.two_by_two", "ratio_of_decays", _before(lambda a, b, gap: (a, b / 2, gap)), ("flows-agree",)),
    Change("gradient-of-factors", "gradients of the factors times 1.001", "factorizations.products", "layer_gradients", _weights(1.001), ("flows-agree", "balancedness")),
    Change("time-of-the-flow", "time runs at 1.01", "dynamics.flow.clock", "passes", _times(1.01), ("descent-follows-flow", "laws")),
    Change("residual-equation", "carried residuals move at 1.01 of their rate", "dynamics.flow.polar:PolarSystem", "velocity", _residuals, ("larger-flows-agree",)),
    Change("weight-of-logarithms", "weights of the logarithms times 1.001", "dynamics.flow.operators", "_log_weight", _times(1.001), ("larger-flows-agree",)),
    Change("weight-of-rotation", "rotation of the frames times 1.001", "dynamics.flow.operators", "_rotation_weight", _times(1.001), ("larger-flows-agree",)),
    Change("weight-across-blocks", "rotation between blocks times 1.001", "dynamics.flow.operators", "_cross_weight", _times(1.001), ("larger-flows-agree",)),
    Change("weight-of-the-plain-form", "weights of the plain form times 1.001", "dynamics.flow.operators", "_descent_weight", _times(1.001), ("other-forms",)),
    Change("identity-form", "one of three equations times 1.001", "dynamics.flow.reduced:IdentitySystem", "velocity", _entry("x", 1.001), ("other-forms",)),
    Change("symmetric-form", "residual of the symmetric form times 1.001", "dynamics.flow.reduced:SymmetricSystem", "velocity", _entry("residual", 1.001), ("other-forms",)),
    Change("aligned-form", "rate of the aligned form times 1.001", "dynamics.flow.reduced:AlignedSystem", "velocity", _entry("logs", 1.001), ("other-forms",)),
    Change("energy", "loss lost times 1.00001", "dynamics.flow.factors:FactorSystem", "velocity", _entry("dissipated", 1.00001), ("balancedness",)),
    # Losses
    Change("value-of-the-loss", "half a square times 1.01", "problems.losses:HalfSSE", "value", _times(1.01), ("known-losses",)),
    Change("sum-of-squares", "loss of a sum of squares times 1.01", "problems.losses:LeastSquares", "loss", _times(1.01), ("known-losses", "balancedness")),
    Change("slope-of-poisson", "slope of the Poisson loss times 1.01", "problems.losses:Poisson", "slope", _times(1.01), ("known-losses",)),
    Change("logistic", "another margin in the logistic loss", "problems.losses:Logistic", "value", _before(lambda self, p, y: (self, 1.01 * p, y)), ("known-losses",)),
    Change("mean-of-squares", "half of the mean's slope", "problems.losses:LeastSquares", "slope", _times(0.5), ("known-losses", "balancedness")),
    # The checker, relations, tensors
    Change("checker-objects", "the checker has no objections", "theory.check", "_objections", lambda f: lambda records: [], ("checker",)),
    Change("checker-is-lenient", "the checker allows a hundredth", "theory.certificate", "judge", _lenient, ("checker",)),
    Change("checker-certifies-descent", "descent is certified as the flow", "dynamics.adaptive:AdaptiveDescent", "follows_flow", lambda f: True, ("checker",)),
    Change("at-most", "whatever is measured is at most what is expected", "claims.relations", "_claim", lambda f: lambda name, statement, source, holds, *rest: f(name, statement, source, lambda got: True, *rest), _SPECTRA),
    Change("bracket", "one less than the lower bound of the CP rank", "measures.cp_rank", "_lower", _after(lambda r: r - 1), ("tensor-rank",)),
    Change("one-hot", "inputs of the circuits in another order", "networks.inputs", "one_hot", _after(lambda x: x[..., ::-1]), ("circuits",)),
)  # fmt: skip

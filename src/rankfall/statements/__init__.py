"""The statements of the talk, each checked anew with a control in which it must fail: what ``rankfall verify`` prints.

And the same questions put to what users bring: ``challenges`` to any norm, ``comparison`` to any problem.

``values``: measures, bounds and laws by value. ``solutions``: about the solution set of ``[[*, 1], [1, 0]]``, without
training. ``theorems``: along gradient flow. ``dynamics``: about the flow itself. ``conjectures``: what training does or
does not minimise. ``tensors``: the same of tensors, and the networks they are. Others are checked by experiments, and
handed to `verify`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from .. import _checks
from .._execution import for_few_calls, interrupts, raise_if_interrupted, side_by_side
from ..claims import Claim
from . import conjectures, dynamics, solutions, tensors, theorems, values
from .challenges import Challenge, challenge
from .comparison import Comparison, Verdict, compare
from .noticing import Noticed, self_test

Statements: TypeAlias = Mapping[str, Callable[[], list[Claim]]]

STATEMENTS: Statements = {
    "rank-of-solutions": solutions.rank_of_solutions,
    "schatten-minimiser": solutions.schatten_minimiser,
    "bounded-minimisers": solutions.bounded_minimisers,
    "rank-suboptimality": solutions.rank_suboptimality,
    "known-spectra": values.known_spectra,
    "known-losses": values.known_losses,
    "sharp-bounds": values.sharp_bounds,
    "laws": values.laws,
    "theorem-1": theorems.theorem_1,
    "theorem-2": theorems.theorem_2,
    "checker": theorems.checker,
    "positions": theorems.positions,
    "determinant-sign": theorems.determinant_sign,
    "probability-one-half": theorems.probability_one_half,
    "convergence": theorems.convergence,
    "singular-values": dynamics.singular_values,
    "flows-agree": dynamics.flows_agree,
    "larger-flows-agree": dynamics.larger_flows_agree,
    "other-forms": dynamics.other_forms,
    "descent-follows-flow": dynamics.descent_follows_flow,
    "regression": dynamics.regression,
    "balancedness": dynamics.balancedness,  # of the program of singular-values, which is compiled by now
    "gunasekar": conjectures.gunasekar,
    "arora": conjectures.arora,
    "tensor-rank": tensors.tensor_rank,
    "components": tensors.components,
    "circuits": tensors.circuits,
}


def verify(
    names: Sequence[str] | None = None,
    say: Callable[[str], object] | None = None,
    also: Statements | None = None,
) -> list[tuple[str, Claim]]:
    """Check the statements of the talk.

    Parameters
    ----------
    names : sequence of str, optional
        Which ones; all by default.
    say : callable, optional
        Is told the name of each statement before it is checked.
    also : mapping of str to callable, optional
        Statements that experiments check, such as ``rankfall.talk.EXPERIMENTS.statements()``; they come last.

    Returns
    -------
    list of (str, Claim)
        In the order asked for. A claim counts as verified when ``claim.ok``: it holds, and its control fails. A
        statement whose check ends in an error is a claim that does not hold.

    Raises
    ------
    ValueError
        If a name is unknown.
    ModuleNotFoundError
        If a statement needs an extra that is not installed.

    Examples
    --------
    >>> from rankfall.statements import verify
    >>> [(name, claim.ok) for name, claim in verify(["rank-of-solutions"])]
    [('rank-of-solutions', True)]
    """
    known = {**STATEMENTS, **(also or {})}
    wanted = list(known) if names is None else _checks.sequence("names", names, "a list of names of statements")
    for name in wanted:
        _checks.one_of("names", name, known)

    def task(name: str) -> list[tuple[str, Claim]]:
        raise_if_interrupted()
        if say is not None:
            say(name)
        try:
            with for_few_calls():
                claims = list(known[name]())
        except ModuleNotFoundError:  # of an extra: nothing is known of the statement
            raise
        except Exception as error:
            claims = [crashed(name, error)]
        raise_if_interrupted()
        return [(name, claim) for claim in claims]

    with interrupts():
        # Side by side: one is compiled while another runs.
        return sum(side_by_side([partial(task, name) for name in dict.fromkeys(wanted)]), [])


def crashed(name: str, error: Exception) -> Claim:
    """Return the claim that does not hold where the check of a statement ended in an error."""
    came = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return Claim(name, "The statement is checked to the end.", "this package", "no error", came, 0.0, False)


__all__ = [
    "STATEMENTS",
    "Challenge",
    "Comparison",
    "Noticed",
    "Verdict",
    "challenge",
    "compare",
    "self_test",
    "verify",
]

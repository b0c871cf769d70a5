"""Steps of tiny matrices, many in one loop over the lanes: what `loop` does where the compiler takes hints.

A *block* is a number of steps of which a lane takes all or none: between them its numbers stay in the processor's
registers, and nothing is put back before the last. What a lane has left then (fewer steps than a block to its event, or
a block in which it would be held) it takes step by step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from .._execution import in_one_function
from .._types import Array
from ..problems import AbstractProblem
from .rules import AbstractRule, Limits

# Steps in a block: of more the code is no faster. Fewer of long chains, whose code would be long to compile.
_STEPS, _ENTRIES = 12, 144
# Numbers of a lane up to which the loop over many lanes is one of vector instructions (see `_State`): of a chain of
# depth 4, 16. At depth 5 to 8, 256 lanes were slower by a fifth to a third than step by step; a single lane never was.
_VECTOR_ENTRIES = 16

# Model, state and step of all lanes.
Stepping: TypeAlias = tuple[Any, Any, Array]
# What lanes are given, their thresholds, and the steps at which they are held at the latest.
Held: TypeAlias = tuple[Any, Array, Array]


class _State(NamedTuple):
    """All lanes, the numbers of the model two by two as complex numbers.

    LLVM makes vector instructions of a loop if it can tell which arrays overlap. It compares every array that is
    written with every other when the loop begins, and gives up beyond 128 comparisons: half as many arrays leave room
    for twice the depth.
    """

    pairs: tuple[Array, ...]
    rule_state: Any
    step: Array


def in_blocks(
    problem: AbstractProblem,
    state: Stepping,
    limits: Held,
    count: Array,
    rule: AbstractRule[Any, Any, Any],
) -> Stepping | None:
    """Take ``count`` steps with every lane, less those for which it is held.

    ``None`` where it does not pay, or the compiler cannot.
    """
    from .._execution.kernels import arithmetic, in_one_kernel

    model, rule_state, step = state
    given, threshold, end = limits
    free = step < end
    entries, tree = jax.tree.flatten(model)
    if step.size > 1 and len(entries) > _VECTOR_ENTRIES:
        return None
    steps = max(2, min(_STEPS, _ENTRIES // len(entries)))

    def one(model: object, rule_state: object, given: object, threshold: Array, free: Array) -> tuple[Any, Any, Array]:
        found = rule.step(problem, model, rule_state, given, Limits(threshold, free, jnp.inf, jnp.inf))
        return found.model, found.state, found.taken

    # What no compiler finds out: the count is never negative.
    zero = jnp.where(count < 0, 1.0, -0.0).astype(entries[0].dtype)
    move = arithmetic(jax.vmap(one, -1, -1), zero, model, rule_state, given, threshold, free)
    if move is None:
        return None
    limits = given, threshold, jnp.minimum(end, step + count)
    now = _State(_paired(entries), rule_state, step)
    block, single = (in_one_kernel(partial(_move, move, tree, many), now, limits) for many in (steps, 1))
    if block is None or single is None:
        return None

    def run(model: object, rule_state: object, step: Array, limits: Held, count: Array) -> Stepping:
        now = _State(_paired(jax.tree.leaves(model)), rule_state, step)
        now = lax.fori_loop(0, count // steps, lambda _, now: block(now, limits), now)
        left = jnp.minimum((limits[-1] - now.step).max(), steps - 1)
        now = lax.fori_loop(0, left, lambda _, now: single(now, limits), now)
        return _parted(now.pairs, tree), now.rule_state, now.step

    done: Stepping = in_one_function(jax.jit(run))(model, rule_state, step, limits, count)
    return done


def _move(move: Callable[..., Any], tree: Any, steps: int, state: _State, limits: Held) -> _State:
    """Take some steps with each lane that may take them all."""
    given, threshold, end = limits
    before = _parted(state.pairs, tree), state.rule_state
    after, free = before, state.step + steps <= end
    for _ in range(steps):
        *after, free = move(*after, given, threshold, free)
    model, rule_state = jax.tree.map(partial(lax.select, free), tuple(after), before)
    return _State(_paired(jax.tree.leaves(model)), rule_state, state.step + steps * free.astype(state.step.dtype))


def _paired(entries: list[Array]) -> tuple[Array, ...]:
    even = [*entries, jnp.zeros_like(entries[0])] if len(entries) % 2 else entries
    return tuple(lax.complex(a, b) for a, b in zip(even[::2], even[1::2], strict=True))


def _parted(pairs: tuple[Array, ...], tree: Any) -> Any:
    parts = [part(pair) for pair in pairs for part in (lax.real, lax.imag)]
    return jax.tree.unflatten(tree, parts[: tree.num_leaves])

"""Elementwise arithmetic as one loop of XLA's CPU compiler, for the sake of tiny matrices.

XLA's CPU compiler gives every result that others share a loop and an array of its own, or computes it anew for each of
them: a step of a chain of matrices, some hundred operations, becomes two dozen loops that mostly load and store. Its
own fusion of several results into one loop is an option of the process, not of a function, and a library sets no
options of its host. So the fusion is written into the program, as an operation (``mhlo.fusion``) that the compiler
leaves as it finds it. Only versions of JAX that hints were tried with are to import this file.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import jax
from jax import lax
from jax.extend.core import Jaxpr, Literal, Primitive
from jax.extend.mlir import ir
from jax.interpreters import mlir

# Arithmetic that the compiler emits inside a loop as it stands. It expands others (a logistic function, say) before,
# where it does not look into a fusion.
_PLAIN = frozenset(
    "abs add and broadcast_in_dim complex convert_element_type copy div eq ge gt imag le lt max min mul ne neg not or "
    "real select_n sign sub".split()
)
# Calls of nested functions, which a fusion cannot hold, and where they have the function.
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr"}

# A primitive and its parameters, its inputs (literals or keys), the keys of its results.
_Operation: TypeAlias = tuple[Any, dict[str, Any], list[Any], list[Any]]


def arithmetic(function: Callable[..., Any], zero: jax.Array, *examples: object) -> Callable[..., Any] | None:
    """Return an elementwise function without nested calls, or ``None`` if it is not made of plain arithmetic.

    Arguments and results are pytrees of arrays of one shape, as in ``examples``. The function may close over arrays of
    any shape: what it makes of them alone is computed now.

    The machine adds a product without rounding it, and of the sum of two products the compiler rounds either, as the
    code around has it. ``zero``, a negative zero that it does not know to be one, is added to the first: what is left
    is one way. So the last digit is the same wherever the function stands in a loop, and factors that are each other's
    transposes stay so.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*examples)
    tree, inputs = jax.tree.structure(shapes), [object() for _ in closed.jaxpr.invars]
    known: dict[Any, Any] = {}
    operations: list[_Operation] = []
    outputs = _flatten(closed.jaxpr, closed.consts, inputs, operations, known)
    seen: dict[Any, Any] = {}
    operations = [operation for operation in operations if not _done(operation, known, seen)]
    products = {results[0] for primitive, _, _, results in operations if primitive is lax.mul_p}

    def run(*arguments: object) -> list[Any]:
        values = known | dict(zip(inputs, jax.tree.leaves(arguments), strict=True))
        for primitive, parameters, atoms, results in operations:
            given = [_value(atom, values) for atom in atoms]
            if primitive is lax.add_p and all(atom in products for atom in atoms if not isinstance(atom, Literal)):
                given[0] = given[0] + zero
            _compute(primitive, parameters, given, results, values)
        return [_value(atom, values) for atom in outputs]

    traced = jax.make_jaxpr(run)(*examples)

    def found(*arguments: object) -> Any:
        results = _arithmetic.bind(*traced.consts, *jax.tree.leaves(arguments), jaxpr=traced.jaxpr)
        return jax.tree.unflatten(tree, results)

    return found if _fits(traced.jaxpr) else None


def in_one_kernel(function: Callable[..., Any], *examples: object) -> Callable[..., Any] | None:
    """Return a function made of `arithmetic` as one loop over the elements, what is shared staying in registers.

    ``None`` where an operation is in the way that the compiler would not survive.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*examples)
    if not _fits(closed.jaxpr):
        return None

    def fused(*arguments: object) -> Any:
        results = _one_kernel.bind(*closed.consts, *jax.tree.leaves(arguments), jaxpr=closed.jaxpr)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return fused


def _fits(jaxpr: Jaxpr) -> bool:
    """Whether all is plain arithmetic of arrays of one shape and of numbers."""

    def shapes(variables: Iterable[Any]) -> set[Any]:
        return {variable.aval.shape for variable in variables}

    extents, inside = shapes(jaxpr.outvars), shapes(v for eqn in jaxpr.eqns for v in eqn.outvars)
    outside = shapes((*jaxpr.constvars, *jaxpr.invars))
    known = all(eqn.primitive is _arithmetic or eqn.primitive.name in _PLAIN for eqn in jaxpr.eqns)
    return known and len(extents) == 1 and inside <= extents and outside <= {(), *extents}


def _flatten(
    jaxpr: Jaxpr, constants: Sequence[Any], inputs: Sequence[Any], into: list[_Operation], known: dict[Any, Any]
) -> list[Any]:
    """Append all operations, those of nested functions too, under keys of their own; return the keys of the results."""
    names: dict[Any, Any] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, constant in zip(jaxpr.constvars, constants, strict=True):
        names[variable] = object()
        known[names[variable]] = constant
    for eqn in jaxpr.eqns:
        atoms = [_name(atom, names) for atom in eqn.invars]
        called = eqn.params.get(_CALLS.get(eqn.primitive.name, ""))
        if called is not None:
            results = _flatten(called.jaxpr, called.consts, atoms, into, known)
        else:
            results = [object() for _ in eqn.outvars]
            into.append((eqn.primitive, eqn.params, atoms, results))
        names.update(zip(eqn.outvars, results, strict=True))
    return [_name(atom, names) for atom in jaxpr.outvars]


def _name(atom: Any, names: dict[Any, Any]) -> Any:
    return atom if isinstance(atom, Literal) else names[atom]


def _value(atom: Any, values: dict[Any, Any]) -> Any:
    return atom.val if isinstance(atom, Literal) else values[atom]


def _compute(
    primitive: Any, parameters: dict[str, Any], given: list[Any], results: list[Any], values: dict[Any, Any]
) -> None:
    found = primitive.bind(*given, **parameters)
    values.update(zip(results, found if primitive.multiple_results else [found], strict=True))


def _done(operation: _Operation, known: dict[Any, Any], seen: dict[Any, Any]) -> bool:
    """Compute what depends on nothing else, but for a number made an array: the loop has that for free."""
    primitive, parameters, atoms, results = operation
    if primitive is lax.broadcast_in_dim_p or not all(isinstance(a, Literal) or a in known for a in atoms):
        return False
    # Once, however often it stands there: each number is one more for the loop to carry.
    same = primitive, str(parameters), tuple(a.val if isinstance(a, Literal) else id(known[a]) for a in atoms)
    if same not in seen:
        _compute(primitive, parameters, [_value(atom, known) for atom in atoms], results, known)
        seen[same] = [known[result] for result in results]
    known.update(zip(results, seen[same], strict=True))
    return True


# The arithmetic of one step, traced once and written into the program wherever it is taken; and the loop.
_arithmetic, _one_kernel = Primitive("arithmetic"), Primitive("one_kernel")


def _evaluated(*values: object, jaxpr: Jaxpr) -> list[Any]:
    constants = len(jaxpr.constvars)
    return list(jax.core.eval_jaxpr(jaxpr, values[:constants], *values[constants:]))


def _typed(*_: object, jaxpr: Jaxpr) -> list[Any]:
    return [variable.aval for variable in jaxpr.outvars]


def _written(context: Any, *values: Any, jaxpr: Jaxpr) -> list[Any]:
    # Not by `mlir.lower_fun`, which traces anew, nor as a nested function, which a fusion cannot hold.
    found, _ = mlir.jaxpr_subcomp(
        context.module_context,
        jaxpr,
        context.name_stack,
        context.tokens_in,
        list(values[: len(jaxpr.constvars)]),
        *values[len(jaxpr.constvars) :],
        dim_var_values=context.dim_var_values,
        const_lowering=context.const_lowering,
        outer_traceback=None,
    )
    return list(found)


def _fused(context: Any, *values: Any, jaxpr: Jaxpr) -> list[Any]:
    types = [ir.RankedTensorType.get(aval.shape, mlir.dtype_to_ir_type(aval.dtype)) for aval in context.avals_out]
    kind = ir.Attribute.parse("#mhlo<fusion_kind kLoop>")
    fusion = ir.Operation.create("mhlo.fusion", types, list(values), {"fusion_kind": kind}, regions=1)
    body = fusion.regions[0].blocks.append(*(value.type for value in values))
    with ir.InsertionPoint(body):
        ir.Operation.create("mhlo.return", operands=_written(context, *body.arguments, jaxpr=jaxpr))
    return list(fusion.results)


for _primitive in (_arithmetic, _one_kernel):
    _primitive.multiple_results = True
    _primitive.def_impl(_evaluated)
    _primitive.def_abstract_eval(_typed)
    mlir.register_lowering(_primitive, _written)
mlir.register_lowering(_one_kernel, _fused, platform="cpu")

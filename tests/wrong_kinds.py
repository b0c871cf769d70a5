"""Right calls in which one argument at a time is of a kind that no argument is; run as a script, as `bad_input.py`."""

import atexit
import inspect
import json
import os
import tempfile

import jax
import numpy as np

import rankfall as rf
from bad_input import EYE, FULL, HUGE, KEY, LANES, PROBLEM, RAGGED, RUN, raised

KINDS = [object(), {1: 2}, RAGGED, np.array([1j]), (x for x in "ab"), np.array([[None, object()]]), HUGE, b"ab",
         np.datetime64("2020"), jax.random.split(KEY, (2, 2)), np.zeros(2, dtype=[("a", float)])]  # fmt: skip
# Texts of a claim, which may be anything that can be printed.
TEXTS = {"name", "statement", "source"}

MEASURES, COMPLETION, START, SPECTRUM = rf.measures, rf.MatrixCompletion, rf.MatrixFactorization, rf.measures.spectrum
FORM = {"loss": "mse", "dtype": "float64"}
INFIMA = {"infimal_rank": 1, "infimal_erank": 1.0}
DRAWN = {"shape": (4, 4), "rank": 1, "key": KEY, "noise": 0.1, "frobenius": 1.0} | FORM
START_OPTIONS = {"shape": (2, 2), "depth": 2}
THEORY = dict.fromkeys(["t", "scale", "unobserved", "x", "p", "q", "z", "z_prime", "eps", "norm_w0", "norm_e11",
                        "triangle_constant", "excess", "max_norm_eij", "alpha", "step_size", "time", "weight_decay",
                        "measured", "expected", "tolerance"], 1.0)  # fmt: skip
THEORY |= {"loss": 0.25, "depth": 3, "steps": 3, "X": [[1.0, 2.0]], "y": [1.0], "start": [0.0, 0.0], "position": (0, 0)}
THEORY |= {"control": ("there", 0.0), "absolute": False, "norm": "nuclear", "run": RUN, "norms": []} | dict.fromkeys(
    TEXTS, "words"
)

with tempfile.NamedTemporaryFile("w", delete=False) as ratings:
    ratings.write("1\t2\t5\t881250949\n")
atexit.register(os.unlink, ratings.name)

NETWORKS, TUCKER, HIERARCHICAL = rf.networks, rf.TuckerFactorization, rf.HierarchicalFactorization
PAIR, ROOT = [EYE, EYE], np.ones((2, 1))
TENSOR = {"shape": (2, 2), "key": KEY, "kind": "balanced", "dtype": "float64"}
SHALLOW, DEEP = NETWORKS.ShallowCircuit(PAIR, EYE), NETWORKS.DeepCircuit(PAIR, EYE)
TENSORS = [
    (rf.CPFactorization, {"factors": PAIR}),
    (rf.CPFactorization.init, TENSOR | {"components": 2, "scale": 1.0}),
    (TUCKER, {"factors": [*PAIR, EYE]}),
    (TUCKER.init, TENSOR | {"ranks": [2, 2], "scale": 1.0}),
    (TUCKER.init, TENSOR | {"ranks": [2, 2], "factor_std": 1.0}),
    (HIERARCHICAL, {"factors": [*PAIR, ROOT], "tree": (0, 1)}),
    (HIERARCHICAL.init, TENSOR | {"widths": [2], "tree": (0, 1), "scale": 1.0}),
    (HIERARCHICAL.init, TENSOR | {"widths": 2, "factor_std": 1.0}),
    (HIERARCHICAL.from_levels, {"levels": [PAIR, [ROOT]], "size": 2}),
    (rf.factorizations.pooled_tree, {"order": 3, "size": 2}),
    (HIERARCHICAL.from_cp, {"cp": rf.CPFactorization(PAIR), "tree": (0, 1)}),
    (HIERARCHICAL([*PAIR, ROOT]).entries, {"indices": [[0, 1]]}),
    (TUCKER([*PAIR, EYE]).entries, {"indices": [[0, 1]]}),
    (HIERARCHICAL([*PAIR, ROOT]).local_component, {"node": (0, 1), "component": 0}),
    (NETWORKS.ShallowCircuit, {"weights": PAIR, "output": EYE, "representation": np.tanh}),
    (NETWORKS.ShallowCircuit.from_factorization, {"cp": rf.CPFactorization(PAIR)}),
    (SHALLOW.to_factorization, {"output": 0}),
    (SHALLOW, {"inputs": EYE}),
    (NETWORKS.DeepCircuit, {"weights": PAIR, "output": EYE, "tree": (0, 1), "representation": np.tanh}),
    (NETWORKS.DeepCircuit.from_factorization, {"hierarchical": HIERARCHICAL([*PAIR, ROOT])}),
    (DEEP.to_factorization, {"output": 0}),
    (DEEP, {"inputs": EYE}),
    (NETWORKS.one_hot, {"indices": [0, 1], "extent": 2}),
    (NETWORKS.patches, {"images": np.ones((2, 2, 1)), "size": 2}),
    (NETWORKS.AffineRepresentation, {"patch_dim": 2, "features": 2, "activation": np.tanh, "key": KEY}),
]

REFERENCES = [
    (rf.references.NuclearNorm, {"tolerance": 0.1, "gap": 0.1, "steps": 3, "seconds": 1.0}),
    (rf.references.NormMinimal, {"norm": "nuclear", "tolerance": 0.1, "gap": 0.1, "solver": "SCS", "seconds": 1.0}),
    (rf.references.SoftImpute, {"penalty": 0.1, "values": 3, "fraction": 0.1, "max_rank": 2, "tolerance": 0.1,
                                "held_out": 0.1, "seed": 0}),
    (rf.references.AlternatingLeastSquares, {"rank": 1, "ridge": 0.1, "starts": 1, "held_out": 0.1, "seed": 0}),
    (rf.references.BiasBaseline, {"ridge": 1.0}),
    (rf.references.FillWithZeros().solve, {"problem": rf.two_by_two()}),
    (rf.references.MinimalL2().solve, {"problem": rf.two_by_two()}),
    (rf.references.NuclearNorm().solve, {"problem": rf.two_by_two()}),
    (rf.references.SoftImpute(0.1).solve, {"problem": rf.two_by_two()}),
    (rf.references.NormMinimal("nuclear").solve, {"problem": rf.two_by_two()}),
    (rf.references.NormMinimal("nuclear").value, {"matrices": EYE}),
    (rf.references.AlternatingLeastSquares(1, 0.1).solve, {"problem": rf.two_by_two()}),
]  # fmt: skip

CALLS = [
    *TENSORS,
    *REFERENCES,
    (COMPLETION.from_dense, {"array": PROBLEM, "truth": EYE, "required_det_sign": 1} | INFIMA),
    (COMPLETION.from_mask, {"array": EYE, "mask": EYE == 1} | FORM),
    (COMPLETION.from_coo, {"indices": [[0, 1]], "values": [1.0], "shape": (2, 2)} | FORM),
    (rf.read_movielens, {"path": ratings.name, "shape": (2, 2)} | FORM),
    (rf.two_by_two, {"z": 1.0, "z_prime": 1.0, "eps": 0.0, "position": (0, 0), "size": 2} | FORM),
    (rf.low_rank_completion, DRAWN | {"observed": 3}),
    (rf.low_cp_rank_completion, DRAWN | {"shape": (2, 2, 2), "observed": 8}),
    (rf.low_hierarchical_rank_completion, DRAWN | {"shape": (2, 2, 2), "observed": 8, "tree": (0, (1, 2))}),
    (rf.low_rank_sensing, DRAWN | {"measurements": 3}),
    (rf.commuting_sensing, {"extent": 3, "rank": 1, "measurements": 2, "key": KEY, "frobenius": 1.0} | FORM),
    (
        rf.compare,
        {
            "problem": rf.two_by_two(),
            "norms": ["frobenius"],
            "depths": [1],
            "scales": [1.0, 0.1],
            "draws": 1,
            "kind": "gaussian",
            "dynamics": rf.GradientDescent(0.1),
            "loss": 0.5,
            "steps": 1,
            "tolerance": 0.1,
            "key": KEY,
            "progress": False,
        },
    ),
    (rf.MatrixSensing, {"measurements": np.ones((1, 2, 2)), "values": [1.0], "truth": EYE} | INFIMA | FORM),
    (rf.LinearRegression, {"inputs": [[1.0]], "targets": [1.0], "truth": [[1.0]]} | FORM),
    (START, {"factors": [EYE]}),
    (START.init, START_OPTIONS | {"key": KEY, "kind": "gaussian", "scale": 1.0, "widths": [2], "det_sign": 1}),
    (START.init, START_OPTIONS | {"kind": "identity", "alpha": 1.0, "dtype": "float32"}),
    (START.stack, {"starts": [FULL]}),
    (LANES.lane, {"index": 0}),
    (LANES.entries, {"indices": [[0, 1]]}),
    (rf.two_by_two().loss, {"full": EYE}),
    (rf.two_by_two().half_sse, {"loss": 1.0}),
    *((getattr(MEASURES, name), {"matrix": EYE}) for name in ("singular_values", "nuclear_norm", "max_row_sum")),
    (MEASURES.schatten_norm, {"matrix": EYE, "p": 1.0}),
    (MEASURES.ky_fan_norm, {"matrix": EYE, "k": 1}),
    (MEASURES.norm, {"matrix": EYE, "kind": "nuclear"}),
    (MEASURES.numerical_rank, {"matrix": EYE, "rtol": 0.1}),
    (MEASURES.distance_to_rank, {"matrix": EYE, "rank": 1}),
    (MEASURES.rank_suboptimality, {"matrix": EYE} | INFIMA),
    (MEASURES.entries, {"matrix": EYE, "indices": [[0, 1]]}),
    (MEASURES.mean_square_error, {"matrix": EYE, "truth": EYE, "where": EYE == 1}),
    (MEASURES.matricization, {"tensor": EYE, "modes": (0,)}),
    (MEASURES.multilinear_rank, {"tensor": EYE, "rtol": 0.1}),
    (MEASURES.hierarchical_rank, {"tensor": EYE, "tree": (0, 1), "rtol": 0.1}),
    (MEASURES.cp_rank_bracket, {"tensor": EYE, "rtol": 0.1, "key": KEY, "max_rank": 2, "restarts": 1, "sweeps": 5}),
    (MEASURES.published_rank_estimate, {"tensor": EYE, "key": KEY, "mse": 0.1, "max_rank": 2, "sweeps": 5}),
    (MEASURES.det_sign, {"factors": [EYE]}),
    (MEASURES.unbalancedness, {"factors": [EYE]}),
    (rf.challenge, {"norm": "nuclear", "triangle_constant": 1, "depth": 2, "scale": 1.0, "loss": 1e-2, "key": KEY}),
    (SPECTRUM.schatten_norm, {"singular_values": [2.0, 1.0], "p": 0.5}),
    (SPECTRUM.numerical_rank, {"singular_values": [2.0, 1.0], "rtol": 0.5}),
    (SPECTRUM.rank_suboptimality, {"singular_values": [2.0, 1.0]} | INFIMA),
    *(
        (function, {name: THEORY[name] for name in inspect.signature(function).parameters})
        for function in vars(rf.theory).values()
        if inspect.isfunction(function)
    ),
]


def exchanged():
    """Every call with one argument exchanged, by the name of that argument."""
    for function, arguments in CALLS:
        function(**arguments)
        for name in arguments.keys() - TEXTS:
            for kind in KINDS:
                yield name, lambda f=function, a=arguments | {name: kind}: f(**a)


if __name__ == "__main__":
    print(json.dumps([(name, i, *raised(call)) for i, (name, call) in enumerate(exchanged())]))

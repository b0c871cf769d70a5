"""Mistakes a user may make, by the argument that has to be named; run as a script, prints what each one raises."""

import json

import jax
import jax.numpy as jnp
import numpy as np

import rankfall as rf
from rankfall import report

NAN, KEY, HUGE = np.nan, jax.random.key(0), 10**5000
EYE, ONE = np.eye(2), [[1.0]]
COMPLETION, START = rf.MatrixCompletion, rf.MatrixFactorization
PROBLEM = [[NAN, 1.0], [1.0, 0.0]]
FULL = START([EYE])
LANES = START([np.ones((3, 2, 2))])
RAGGED = [[1.0], [1.0, 2.0]]
THEORY, TWO, THREE = rf.theory, [1, 2], [3, 3, 3]


def start(shape=(2, 2), depth=2, **options):
    return START.init(shape, depth, **({"scale": 1.0, "key": KEY} | options))


def train(problem=None, first=FULL, dynamics=None, **options):
    return rf.train(problem or rf.two_by_two(), first, dynamics or rf.GradientDescent(0.1), **options)


def bracket(tensor, **options):
    return rf.measures.cp_rank_bracket(tensor, **({"key": KEY} | options))


def published(tensor, **options):
    return rf.measures.published_rank_estimate(tensor, **({"key": KEY} | options))


def compare(problem=None, norms=("nuclear",), depths=(2,), **options):
    return rf.compare(rf.two_by_two() if problem is None else problem, norms, depths, progress=False, **options)


def called(name):
    def measure(w):
        return w[0, 0]

    measure.__name__ = name
    return measure


COLUMNS = iter([4, 5, 5])


def unequal(key):
    return rf.low_rank_completion((4, next(COLUMNS)), 1, 8, key=key)


nested = 0
for _ in range(5000):
    nested = (nested, 1)

RUN = train(stop=rf.Stop(steps=1), progress=False)


CASES = {
    "array": [lambda a=a: COMPLETION.from_dense(a) for a in ("abc", [[1, 2], [3]], [[1j, 2], [3, 4]], [1.0, 2.0],
              np.zeros((2, 2, 2)), [[np.inf, 1], [1, 0]], [[]], np.zeros((0, 2)), [[NAN, NAN]], None, [[HUGE]], [["1"]],
              np.array([["1", None]], dtype=object))]
    + [lambda: COMPLETION.from_mask([[NAN]], [[True]])],
    "truth": [lambda t=t: COMPLETION.from_dense(PROBLEM, truth=t) for t in ("x", [[1, 2, 3]], PROBLEM, RAGGED)],
    "infimal_rank": [lambda r=r: COMPLETION.from_dense(PROBLEM, infimal_rank=r) for r in ("x", -1, 1.5, True, HUGE)]
    + [lambda: rf.measures.rank_suboptimality(EYE, infimal_rank=None, infimal_erank=1.0)],
    "infimal_erank": [lambda r=r: COMPLETION.from_dense(PROBLEM, infimal_erank=r) for r in ("x", NAN, 0.5, np.inf)]
    + [lambda: rf.measures.rank_suboptimality(EYE, infimal_rank=1, infimal_erank=None)],
    "required_det_sign": [lambda s=s: COMPLETION.from_dense(PROBLEM, required_det_sign=s) for s in (0, 2, True, EYE)],
    "loss": [lambda x=x: COMPLETION.from_dense(PROBLEM, loss=x) for x in ("sse", None, ["mse"], EYE)]
    + [lambda: rf.Stop(loss=-1.0), lambda: rf.Stop(loss="a")],
    "dtype": [lambda d=d: COMPLETION.from_dense(PROBLEM, dtype=d) for d in ("int32", "bogus", None, EYE, np, 64)],
    "mask": [lambda m=m: COMPLETION.from_mask([[1, 2], [3, 4]], m) for m in ([[1, 0], [0, 1]], [True, False], None,
             RAGGED, [[False] * 2] * 2)],
    "indices": [lambda i=i: COMPLETION.from_coo(i, np.ones(len(i)), (2, 2)) for i in ([[0, 0], [0, 0]], [[0, 2]],
                [[0, -1]], [[0.0, 1.0]], [0, 1], [[0, 1], [1]], "ab", [[0, 2**63]], [[True, False]], [], [[]],
                np.zeros((0, 2), int), [[0, 0, 0]], [["0", "1"]], [[0, None]])],
    "indices ": [lambda i=i: rf.measures.entries(EYE, i) for i in ([0, 1], RAGGED, None, KEY)]
    + [lambda: FULL.entries([[0.5, 1.0]])],
    "indices[0]": [lambda: rf.measures.entries(EYE, [[0, 2]]), lambda: FULL.entries([[-1, 0]])],
    "inputs ": [lambda: rf.LinearRegression([[1e300]], [1.0], dtype="float32")],
    "values": [lambda v=v: COMPLETION.from_coo([[0, 1]], v, (2, 2)) for v in ([1, 2], [NAN], ["a"], [1j], 1.0, None)]
    + [lambda: COMPLETION.from_coo([[0, 1]], [1e39], (2, 2), dtype="float32"),
       lambda: COMPLETION.from_coo([[0, 1]], np.ma.masked_array([1.0], [True]), (2, 2))]
    + [lambda v=v: rf.MatrixSensing(np.ones((1, 2, 2)), v) for v in ([1, 2], [NAN], ["a"])],
    "shape": [lambda s=s: COMPLETION.from_coo([[0, 1]], [1.0], s) for s in ((2, 2, 2), 5, (2, 0), (2.0, 2), None, EYE,
              np.array(2), (2**40, 2**40), (True, 2), "22")]
    + [lambda s=s: start(s) for s in ((2,), 2, (2, 0), (2**40, 2))]
    + [lambda: rf.low_rank_completion(5, 1, 3, key=KEY)]
    + [lambda s=s: rf.low_cp_rank_completion(s, 1, 3, key=KEY) for s in (5, (5,), "22", (2**40, 2**40, 2), None, EYE)],
    "measurements": [lambda m=m: rf.MatrixSensing(m, [1.0]) for m in (EYE, "a", [[[1, 2], [3]]],
                     1j * np.ones((1, 2, 2)), np.ones((0, 2, 2)))],
    "inputs": [lambda x=x: rf.LinearRegression(x, [1.0]) for x in ("a", [1.0, 2.0], [[NAN, 2]], [[1j, 2]])],
    "path": [lambda p=p, f=f: f(p) for p in ("", 5, "a\0b", "no.data", ".", None, EYE, __file__)
             for f in (rf.read_movielens, rf.load_run)]
    + [lambda p=p, f=f: f(p) for p in ("", 5, "a\0b", ".", "no/run.nc") for f in (RUN.save, rf.Checkpoint)],
    "checkpoint": [lambda c=c: train(checkpoint=c) for c in ("", 5, "a\0b", ".", "no/run", True, EYE, __file__)],
    "largest": [lambda n=n: RUN.to_dataframe(largest=n) for n in (0, -1, 1.5, "x", None, True)],
    "movielens": [lambda p=p: report.reproduce(["spectrum-dynamics"], "unused", movielens=p)
                  for p in ("", 5, "a\0b", "no.data", ".", __file__)]
    + [lambda: report.reproduce(["solution-set", "spectrum-dynamics"], "unused", movielens="unused.data")],
    "pictures": [lambda: report.reproduce(["solution-set"], "unused", pictures="unused.npz")],
    "targets": [lambda y=y: rf.LinearRegression([[1.0, 2.0]], y) for y in ([1, 2], ["a"], [NAN])]
    + [lambda t=t: report.reproduce(["tensor-order3"], "unused", targets=t) for t in ("", 5, "a\0b", "no.npz", ".")]
    + [lambda: report.reproduce(["solution-set", "tensor-order3"], "unused", targets="unused.npz")],
    "z": [lambda z=z: rf.two_by_two(z) for z in (0, "a", NAN, HUGE, True, [1.0], np.timedelta64(1))],
    "position": [lambda p=p: rf.two_by_two(position=p) for p in ((2, 0), 3, "ab", (0.0, 1.0), (True, False), (0,), EYE)]
    + [lambda p=p: rf.theory.required_det_sign(p, 1.0, 1.0) for p in ([[0], [1]], 3, (0, 2))],
    "size": [lambda s=s: rf.two_by_two(size=s) for s in (1, 2.5, 2**40, HUGE)],
    "rank": [lambda r=r: rf.low_rank_completion((5, 5), r, 3, key=KEY) for r in (0, 6, 1.5)]
    + [lambda r=r: rf.measures.distance_to_rank(EYE, r) for r in (-1, 1.5, "a")],
    "rank ": [lambda r=r, f=f: f((3, 3, 3), r, 20, key=KEY) for r in (0, -1, 1.5, "a", None, True, HUGE, 2**60, (2, 1))
              for f in (rf.low_cp_rank_completion, rf.low_hierarchical_rank_completion)]
    + [lambda r=r: rf.low_hierarchical_rank_completion((3, 3, 3), r, 20, key=KEY) for r in ((), [2], (1, 2, 3))],
    "rank[1]": [lambda: rf.low_hierarchical_rank_completion((3, 3, 3), (1, 0), 20, key=KEY)],
    "observed": [lambda n=n: rf.low_rank_completion((5, 5), 1, n, key=KEY) for n in (0, 26, 1.5)],
    "frobenius": [lambda f=f: rf.low_rank_completion((5, 5), 1, 3, key=KEY, frobenius=f) for f in (0, [1.0], "a")],
    "noise": [lambda n=n: rf.low_rank_completion((5, 5), 1, 3, key=KEY, noise=n) for n in (-1, "a", NAN, HUGE)],
    "key": [lambda k=k: start(key=k) for k in (None, 0, jax.random.PRNGKey(0), jax.random.split(KEY, (2, 2)), "0",
            np.float16, jax.random.split(KEY, 3)[:0])]
    + [lambda k=k: rf.low_rank_completion((5, 5), 1, 3, key=k) for k in (None, jax.random.split(KEY, 2))]
    + [lambda f=f: f(THREE, 1, 20, key=0) for f in (rf.low_cp_rank_completion, rf.low_hierarchical_rank_completion)]
    + [lambda k=k, f=f: f(EYE, key=k) for k in (None, 0, jax.random.split(KEY, 2)) for f in (bracket, published)],
    "factors": [lambda f=f: START(f) for f in ([], "ab", None, EYE, [EYE, np.eye(3)], [np.ones((4, 2, 2)), EYE],
                [np.ones((4, 2, 2)), np.ones((3, 2, 2))], [np.ones(2)], [np.ones((0, 2))], [1j * EYE], [[["a"]]],
                [jnp.ones((2, 2)) * 1j], [KEY], [RAGGED], [None], [np.ones((1, 1, 2, 2))], {1: EYE}, 5)]
    + [lambda f=f: rf.measures.det_sign(f) for f in ([], [np.ones((2, 3))], [EYE, np.eye(3)], None, EYE, "ab", [RAGGED],
                [np.ones((4, 2, 2)), np.ones((3, 2, 2))], [KEY])]
    + [lambda: rf.measures.unbalancedness("a")],
    "depth": [lambda d=d: start(depth=d) for d in (0, -1, 1.5, "a", True, None, HUGE, 2**62)],
    "starts": [lambda s=s: START.stack(s) for s in ([], None, "ab", FULL, [FULL, LANES, START([np.eye(3)])])],
    "starts[1]": [lambda s=s: START.stack([FULL, s]) for s in (EYE, None)],
    "index": [lambda i=i: LANES.lane(i) for i in (3, -1, "a", 0.0)],
    "scale": [lambda s=s: start(scale=s) for s in (0, -1, "a", [], [[1.0]], None, True, 1j, RAGGED, KEY, [[1]])]
    + [lambda k=k: start(kind=k, scale=1e308) for k in ("gaussian", "balanced", "orthogonal")]
    + [lambda: start(scale=1e-200, dtype="float32"), lambda: start(depth=1, scale=1e-60, dtype="float32")]
    + [lambda: start(factor_std=1.0), lambda: start(scale=1e300, dtype="float32"),
       lambda: start(kind="identity"), lambda: start(scale=[1.0, 2.0], key=jax.random.split(KEY, 3))],
    "factor_std": [lambda: start(kind="balanced", scale=None, factor_std=1.0)],
    "det_sign": [lambda d=d: start(det_sign=d) for d in (0, "+", True, EYE)]
    + [lambda: start(scale=1e-200, det_sign=1, dtype="float32")] + [lambda: start((2, 3), det_sign=1),
                 lambda: start(widths=[1], det_sign=1)],
    "widths": [lambda w=w: start(widths=w) for w in ([2, 2], [0], "a", [2.0], [[2]], RAGGED, [2**62])],
    "kind": [lambda k=k: start(kind=k) for k in ("x", None, EYE)] + [lambda k=k: rf.measures.norm(EYE, k) for k in (
             "x", 3, lambda w: w, lambda w: "a", lambda w: None, lambda w: RAGGED, lambda w: True, lambda w: 1j,
             [], {})],
    "alpha": [lambda a=a: START.init((2, 2), 2, kind="identity", alpha=a) for a in (-1, "a", 0, [[1.0]], 1e308)],
    "p": [lambda p=p: rf.measures.schatten_norm(EYE, p) for p in (0, -1, NAN, "a", None, True, [1.0], 1j, HUGE)],
    "matrix": [lambda m=m: rf.measures.schatten_norm(m, 1) for m in ([1.0, 2.0], "a", None, [[1, 2], [3]], [[1j]], KEY,
               jnp.ones((2, 2)) * 1j, np.zeros((0, 2)))],
    "full": [lambda m=m: rf.two_by_two().loss(m) for m in (np.eye(3), 1.0, "a", np.eye(2)[0])]
    + [lambda m=m: rf.low_rank_completion((5, 5), 1, 20, key=KEY).loss(m) for m in (1.0, [[1.0]])]
    + [lambda: rf.two_by_two().residuals(np.eye(3)), lambda: rf.MatrixSensing(np.ones((1, 2, 2)), [1]).loss([[1.0]]),
       lambda: rf.LinearRegression([[1.0, 2.0]], [1.0]).residuals([[1.0, 2.0]])]
    + [lambda: report.reproduce(["solution-set"], "unused", full="yes")],
    "k": [lambda k=k: rf.measures.ky_fan_norm(EYE, k) for k in (0, 3, 1.5, "a", True, HUGE)],
    "rtol": [lambda r=r: rf.measures.numerical_rank(EYE, r) for r in (-1, "a", NAN, 1j)]
    + [lambda: rf.measures.spectrum.numerical_rank([1.0], -1)],
    "tensor": [lambda t=t, f=f: f(t) for t in ([1.0, 2.0], "a", None, RAGGED, [[1j]], KEY, np.zeros((2, 0, 2)), 3.0)
               for f in (lambda t: rf.measures.matricization(t, 0), rf.measures.multilinear_rank,
                         rf.measures.hierarchical_rank, bracket, published)]
    + [lambda f=f: f([[NAN, 1.0]]) for f in (bracket, published)],
    "modes": [lambda m=m: rf.measures.matricization(np.ones((2, 2, 2)), m) for m in ((), 3, -1, (0, 0), 1.0, "0", None,
              RAGGED, True, HUGE, [[0]], {0: 1}, {})],
    "tree": [lambda t=t: rf.measures.hierarchical_rank(np.ones((2, 2, 2)), t) for t in ((0, 1), ((0, 1), 3),
             (0, 1, 2, 2), ((0, 1, 2),), ((0,), (1, 2)), "012", 5, EYE, {}, ((0, 1), None), ((0, 1), 2.0), [], nested)],
    "rtol ": [lambda r=r: bracket(EYE, rtol=r) for r in (0, -1, "a", NAN, None, True, HUGE, [1.0])]
    + [lambda: rf.measures.multilinear_rank(EYE, -1), lambda: rf.measures.hierarchical_rank(EYE, rtol="a")],
    "mse ": [lambda m=m: published(EYE, mse=m) for m in (0, -1, "a", NAN, None)],
    "max_rank": [lambda r=r, f=f: f(EYE, max_rank=r) for r in (0, 1.5, "a", True, HUGE) for f in (bracket, published)]
    + [lambda: published(EYE, max_rank=2**60)],
    "restarts": [lambda r=r: bracket(EYE, restarts=r) for r in (0, 1.5, "a", None)],
    "sweeps": [lambda n=n, f=f: f(EYE, sweeps=n) for n in (0, 1.5, "a", None) for f in (bracket, published)],
    "singular_values": [lambda s=s: rf.measures.spectrum.effective_rank(s) for s in (1.0, [], [-1.0], "ab", RAGGED)],
    "infimal_rank ": [lambda: rf.measures.spectrum.rank_suboptimality([1.0], -1, 1.0)],
    "infimal_erank ": [lambda: rf.measures.spectrum.rank_suboptimality([1.0], 1, NAN)],
    "where": [lambda w=w: rf.measures.mean_square_error(EYE, EYE, where=w) for w in ([[False] * 2] * 2,
              [[1, 2], [3, 4]], RAGGED, True)],
    "the step size": [lambda r=r: rf.GradientDescent(r) for r in (0, -1, NAN, [[1.0]])]
    + [lambda: train(dynamics=rf.GradientDescent([1.0, 2.0]))],
    "rule": [lambda r=r: rf.GradientDescent(r) for r in (True, [], "fast", 1j)],
    "beta": [lambda b=b: rf.group_rmsprop(1.0, beta=b) for b in (1.0, "a")],
    "steps": [lambda s=s: rf.Stop(steps=s) for s in (0, 1.5, "a")],
    "flow_time": [lambda t=t: rf.Stop(flow_time=t) for t in (0, -1.0, NAN, "a", True)],
    "at_times": [lambda t=t: rf.Record(at_times=t) for t in ([0.0], [-1.0], [NAN], "a", [[1], [2, 3]])],
    "seconds": [lambda: rf.Stop(seconds="a")],
    "every": [lambda e=e: rf.Record(every=e) for e in (0, 1.5)]
    + [lambda e=e: rf.Checkpoint("run.checkpoint", every=e) for e in (-1, NAN, np.inf, "x", None, EYE)],
    "keep": [lambda k=k: rf.Checkpoint("run.checkpoint", keep=k) for k in (1, "x", None, EYE)],
    "at_losses": [lambda a=a: rf.Record(at_losses=a) for a in ([-1.0], "a", [NAN])],
    "schatten_p": [lambda p=p: rf.Record(schatten_p=p) for p in ([0], "a", [NAN])],
    "measures": [lambda m=m: rf.Record(measures=m) for m in ("x", ["x"], [3], 5, ["NORMS"], ["ky_fan_norm"])]
    + [lambda: train(stop=rf.Stop(steps=1), record=rf.Record(measures=[lambda w: "a"]))]
    + [lambda: train(stop=rf.Stop(steps=1), record=rf.Record(measures=[lambda w: 1j * w]))]
    + [lambda n=n: train(record=rf.Record(measures=[called(n)])) for n in ("loss", "lane", "entry", "unobserved")],
    "problem": [lambda: train("x")],
    "start": [lambda: train(first=None), lambda: train(first=rf.CPFactorization([EYE, EYE]), dynamics=rf.LinearFlow())],
    "loss ": [lambda: THEORY.flow_time(TWO, THREE), lambda: THEORY.perturbed_distance_bound(TWO, THREE),
              lambda: THEORY.perturbed_unobserved_lower_bound(TWO, THREE, 1, 0),
              lambda: THEORY.theorem1_norm_bound(TWO, THREE, 3), lambda: rf.two_by_two().half_sse("a")]
    + [lambda x=x: THEORY.generic_norm_bound(x, "nuclear") for x in (-1, NAN, "a", [True])]
    + [lambda x=x: THEORY.theorem1_any_norm_bound(x, "nuclear") for x in (-1, NAN)]
    + [lambda x=x: rf.challenge("nuclear", loss=x) for x in (0, 1, 1e-15, NAN, "a", None, [1e-3], True)],
    "t": [lambda: THEORY.unobserved_at_time(TWO, THREE)],
    "scale ": [lambda: THEORY.escape_time([1, 1], THREE)]
    + [lambda x=x: rf.challenge("nuclear", scale=x) for x in (0, 1e-13, 1e4, NAN, "a", None, [1e-3])],
    "unobserved": [lambda: THEORY.step_size_ceiling(TWO, THREE)],
    "x": [lambda: THEORY.solution_schatten_norm(TWO, THREE), lambda: THEORY.depth_law_determinant(TWO, THREE)],
    "norm_w0": [lambda: THEORY.minimiser_radius(TWO, THREE)],
    "z ": [lambda: THEORY.perturbed_limit(TWO, THREE, 1)],
    "alpha ": [lambda: THEORY.identity_descent(TWO, THREE, 1)],
    "steps ": [lambda s=s: THEORY.identity_descent(1, 0.1, s) for s in (2**61, -1, 1.5)],
    "step_size": [lambda: THEORY.descent_iterate([[1, 2]], [1], TWO, 3)],
    "time": [lambda: THEORY.flow_iterate([[1, 2]], [1], TWO)],
    "weight_decay": [lambda: THEORY.ridge_solution([[1, 2]], [1], TWO)],
    "X": [lambda x=x: THEORY.min_l2_interpolator(x, [1]) for x in ([[]], [1], RAGGED)],
    "control": [lambda c=c: THEORY.at_least("n", "s", "o", 1, 1, 0, c) for c in ("ab", 1, ("w",), ("w", "a"))]
    + [lambda c=c: THEORY.Claim("n", "s", "o", 1, 1, 0, True, c) for c in ([], "ab", {"what": 1})],
    "measured": [lambda m=m: THEORY.at_most("n", "s", "o", m, 1) for m in ("a", None, EYE, HUGE)],
    "expected": [lambda: THEORY.close_to("n", "s", "o", 1, "a", 0)],
    "absolute": [lambda a=a: THEORY.at_most("n", "s", "o", 1, 1, absolute=a) for a in ("no", 1, EYE)],
    "out": [lambda o=o: report.reproduce(["solution-set"], o) for o in ("", None, 5, "a\0b", b"out")]
    + [lambda o=o: report.write_page(o, []) for o in ("", None)]
    + [lambda o=o: report.stored_names(o) for o in ("", None)],
    "names": [lambda n=n: report.reproduce(n, "unused") for n in (None, 5, [3], [["a"]], np.array(["solution-set"]))]
    + [lambda n=n: report.write_page("unused", n) for n in (None, "solution-set", [3])],
    "progress": [lambda: report.reproduce(["solution-set"], "unused", progress="yes")],
    "force": [lambda: report.reproduce(["solution-set"], "unused", force="yes")],
    "set ": [lambda s=s: report.reproduce(["solution-set"], "unused", settings=s) for s in (5, None, [3], ["x"], "a=1",
             ["points.deep=1"], ["pointz=3"])],
    "points of": [lambda s=s: report.reproduce(["solution-set"], "unused", settings=[f"points={s}"]) for s in ("a", 1.5,
                  "[1, 2]", "")],
    "console": [lambda: report.reproduce(["solution-set"], "unused", console="yes")],
    "norm": [lambda n=n: THEORY.norm_constants(n) for n in ("x", "schatten-", "schatten-0", "schatten-nan", "ky_fan-1",
             3, None, EYE, ["nuclear"], lambda w: w, lambda w: "a", lambda w: None, lambda w: NAN, lambda w: True,
             lambda w: -1.0, lambda w: abs(w).sum() ** 2, lambda w: 1 + abs(w).sum(), lambda w: abs(w[0]).sum(),
             "schatten-1e-9")]
    + [lambda n=n: rf.challenge(n) for n in ("x", None, lambda w: w, lambda w: abs(w[0, 0]), "schatten-0.005")]
    + [lambda: THEORY.generic_norm_bound(0.1, lambda w: abs(w).sum()),
       lambda: THEORY.theorem1_any_norm_bound(0.1, lambda w: abs(w).sum())],
    "triangle_constant": [lambda c=c: THEORY.norm_constants("schatten-0.5", triangle_constant=c) for c in (0.5, 1.9,
                          NAN, np.inf, "a", True, [1, 2], EYE, HUGE)]
    + [lambda: rf.challenge("schatten-0.5", triangle_constant=1),
       lambda: THEORY.generic_norm_bound(0.1, THEORY.norm_constants("nuclear"), triangle_constant=1)],
    "position ": [lambda p=p: THEORY.norm_constants("nuclear", position=p) for p in ((2, 0), 3, None)],
    "depth ": [lambda d=d: rf.challenge("nuclear", depth=d) for d in (1, 2.5, "a", None, True)],
    "key ": [lambda k=k: rf.challenge("nuclear", key=k) for k in (0, "a", jax.random.split(KEY, 2))],
    "run": [lambda r=r: THEORY.check(r) for r in (None, "x", RUN.trajectory, HUGE)]
    + [lambda: THEORY.check(train(rf.MatrixSensing(np.ones((1, 2, 2)), [1]), stop=rf.Stop(steps=1), progress=False))],
    "norms": [lambda n=n: THEORY.check(RUN, norms=n) for n in ("nuclear", 5, [3.0], [None], ["a"], [True], [HUGE],
              EYE, [EYE])],
    "dynamics": [lambda: train(dynamics=1e-2), lambda: compare(dynamics="flow")],
    "stop": [lambda: train(stop=5)],
    "record": [lambda: train(record=5)],
}  # fmt: skip

COMPARISONS = {
    "problem": [lambda p=p: compare(p) for p in (COMPLETION.from_dense(np.multiply(PROBLEM, 1e200)),
                COMPLETION.from_dense(np.multiply(PROBLEM, 1e-200)), 5, EYE,
                rf.TensorCompletion.from_dense(np.ones((2, 2, 2))),
                lambda key: 5, unequal, COMPLETION.from_dense([[0.0, NAN]]))],
    "norms ": [lambda n=n: compare(norms=n) for n in ([], "nuclear", ["x"], [None], ["nuclear", "nuclear"], [5],
               [rf.references.NormMinimal("nuclear", tolerance=0.1)], [lambda w: 0.0 * w[0, 0]])],
    "depths": [lambda d=d: compare(depths=d) for d in ([], 2, [0], [1.5], ["a"], None)],
    "scales": [lambda s=s: compare(scales=s) for s in ([], [1e-2], [1e-2, 1e-2], [1e-2, 0], [1, NAN], "ab", None, 1.0)],
    "draws": [lambda d=d: compare(draws=d) for d in (0, 1.5, "a", None)],
    "kind": [lambda k=k: compare(kind=k) for k in ("uniform", None, 5)],
    "steps": [lambda s=s: compare(steps=s) for s in (0, 1.5, None)],
    "tolerance": [lambda t=t: compare(tolerance=t) for t in (0, -1, "a", None, NAN)],
    "loss ": [lambda x=x: compare(loss=x) for x in (0, 1, 2.0, NAN, "a")],
    "key": [lambda k=k: compare(key=k) for k in (0, "a", jax.random.split(KEY, 2))],
    "extent": [lambda e=e: rf.commuting_sensing(e, 1, 1, key=KEY) for e in (0, 1.5, "a", 10**9)],
    "rank ": [lambda r=r: rf.commuting_sensing(3, r, 1, key=KEY) for r in (0, 4, 1.5)],
    "measurements ": [lambda m=m: rf.commuting_sensing(3, 1, m, key=KEY) for m in (0, 4, 1.5)],
}  # fmt: skip

CP, TUCKER, TREE, NETWORKS = rf.CPFactorization, rf.TuckerFactorization, rf.HierarchicalFactorization, rf.networks
ROOT, LEVELS = [np.ones((2, 1))], rf.HierarchicalFactorization.from_levels
DRAWN = {"scale": 1.0, "key": KEY}

MODELS = {
    "key": [lambda k=k, f=f: f(k) for k in (0, None, "a", np.float32, jax.random.PRNGKey(0)) for f in (
            lambda k: CP.init(THREE, 2, scale=1.0, key=k), lambda k: TUCKER.init(THREE, scale=1.0, key=k),
            lambda k: TREE.init(THREE, 2, scale=1.0, key=k), lambda k: NETWORKS.AffineRepresentation(2, 2, key=k),
            lambda k: start(key=k))],
    "function": [lambda f=f: rf.measures.grid_tensor(f, EYE, 2) for f in (3, None, "a", EYE)],
    "network": [lambda n=n: NETWORKS.GridNetwork(n, EYE, 2) for n in (3, None, "a", EYE)],
    "widths[2]": [lambda w=w: TREE.init([3] * 4, [2, 2, w], **DRAWN) for w in (0, 1.5, "a", None, True)],
    "ranks[2]": [lambda r=r: TUCKER.init(THREE, [2, 2, r], **DRAWN) for r in (0, 1.5, "a", None, True)],
    "start": [lambda s=s: rf.train(rf.Supervised([[1.0]], [1.0]), s, rf.GradientDescent(1)) for s in ("a", None, FULL)],
    "network ": [lambda m=m: NETWORKS.Network(m) for m in (3.0, None, "a")],
    "solver": [lambda s=s, f=f: f(solver=s) for s in (3, None, "a") for f in (rf.GradientFlow, rf.EndToEndFlow)],
    "levels ": [lambda v=v: LEVELS(v) for v in (None, 5, "ab", EYE, [], [[EYE, EYE]], [[EYE], ROOT])]
    + [lambda: LEVELS([[EYE] * 4, [EYE] * 2])],
    "levels[0] ": [lambda v=v: LEVELS([v, ROOT]) for v in (EYE, None, "ab", 3)],
    "levels[0][1]": [lambda v=v: LEVELS([[EYE, v], ROOT]) for v in (None, "a", RAGGED, 1j * EYE, np.ones(2),
                     np.ones((3, 2, 2)))],
    "levels[1] ": [lambda n=n: LEVELS([[EYE] * 6, [EYE] * n, [EYE] * 2, ROOT]) for n in (0, 2, 6)],
    "levels[1][2]": [lambda: LEVELS([[EYE] * 5, [EYE, EYE, np.ones((3, 2))], [EYE] * 2, ROOT])],
    "levels[2]": [lambda: LEVELS([[EYE] * 2, ROOT, ROOT])],
    "levels[1][0]": [lambda: LEVELS([[EYE] * 2, [EYE]])],
    "size": [lambda s=s, f=f: f(s) for s in (0, 1, 1.5, "a", None, True, HUGE) for f in (
             lambda s: LEVELS([[EYE, EYE], ROOT], s), lambda s: rf.factorizations.pooled_tree(3, s))],
    "order": [lambda n=n: rf.factorizations.pooled_tree(n) for n in (0, 1, 1.5, "a", None)],
}  # fmt: skip


def raised(call):
    """Kind and text of what a call raises."""
    try:
        call()
    except Exception as error:
        return type(error).__name__, str(error)
    return "nothing", ""


if __name__ == "__main__":
    print(
        json.dumps(
            [
                (name, i, *raised(call))
                for name, calls in (*CASES.items(), *COMPARISONS.items(), *MODELS.items())
                for i, call in enumerate(calls)
            ]
        )
    )

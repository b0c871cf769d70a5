"""Mistakes a user may make, by the argument that has to be named; run as a script, prints what each one raises."""

import json

import jax
import numpy as np

import rankfall as rf

NAN, KEY = np.nan, jax.random.key(0)
EYE, ONE = np.eye(2), [[1.0]]
COMPLETION, START = rf.MatrixCompletion, rf.MatrixFactorization
PROBLEM = [[NAN, 1.0], [1.0, 0.0]]
FULL = START([EYE])


def start(shape=(2, 2), depth=2, **options):
    return START.init(shape, depth, **({"scale": 1.0, "key": KEY} | options))


def train(problem=None, first=FULL, dynamics=None, **options):
    return rf.train(problem or rf.two_by_two(), first, dynamics or rf.GradientDescent(0.1), **options)


CASES = {
    "array": [lambda a=a: COMPLETION.from_dense(a) for a in ("abc", [[1, 2], [3]], [[1j, 2], [3, 4]], [1.0, 2.0],
              np.zeros((2, 2, 2)), [[np.inf, 1], [1, 0]])],
    "truth": [lambda t=t: COMPLETION.from_dense(PROBLEM, truth=t) for t in ("x", [[1, 2, 3]], PROBLEM)],
    "infimal_rank": [lambda r=r: COMPLETION.from_dense(PROBLEM, infimal_rank=r) for r in ("x", -1, 1.5)]
    + [lambda: rf.measures.rank_suboptimality(EYE, infimal_rank=None, infimal_erank=1.0)],
    "infimal_erank": [lambda r=r: COMPLETION.from_dense(PROBLEM, infimal_erank=r) for r in ("x", NAN, 0.5)]
    + [lambda: rf.measures.rank_suboptimality(EYE, infimal_rank=1, infimal_erank=None)],
    "required_det_sign": [lambda: COMPLETION.from_dense(PROBLEM, required_det_sign=0)],
    "loss": [lambda: COMPLETION.from_dense(PROBLEM, loss="sse"), lambda: rf.Stop(loss=-1.0), lambda: rf.Stop(loss="a")],
    "dtype": [lambda d=d: COMPLETION.from_dense(PROBLEM, dtype=d) for d in ("int32", "bogus")],
    "mask": [lambda m=m: COMPLETION.from_mask([[1, 2], [3, 4]], m) for m in ([[1, 0], [0, 1]], [True, False], None)],
    "the matrix": [lambda: COMPLETION.from_dense([[NAN, NAN]]), lambda: COMPLETION.from_coo([], [], (2, 2))],
    "indices": [lambda i=i: COMPLETION.from_coo(i, np.ones(len(i)), (2, 2)) for i in ([[0, 0], [0, 0]], [[0, 2]],
                [[0, -1]], [[0.0, 1.0]], [0, 1], [[0, 1], [1]], "ab", [[0, 2**63]], [[True, False]])],
    "indices ": [lambda: rf.measures.entries(EYE, [0, 1]), lambda: FULL.entries([[0.5, 1.0]])],
    "indices[0]": [lambda: rf.measures.entries(EYE, [[0, 2]]), lambda: FULL.entries([[-1, 0]])],
    "values ": [lambda: COMPLETION.from_dense([[1e300, NAN]], dtype="float32")],
    "inputs ": [lambda: rf.LinearRegression([[1e300]], [1.0], dtype="float32")],
    "values": [lambda v=v: COMPLETION.from_coo([[0, 1]], v, (2, 2)) for v in ([1, 2], [NAN], ["a"], [1j])]
    + [lambda v=v: rf.MatrixSensing(np.ones((1, 2, 2)), v) for v in ([1, 2], [NAN], ["a"])],
    "shape": [lambda s=s: COMPLETION.from_coo([[0, 1]], [1.0], s) for s in ((2, 2, 2), 5, (2, 0), (2.0, 2), None)]
    + [lambda s=s: start(s) for s in ((2,), 2, (2, 0))] + [lambda: rf.low_rank_completion(5, 1, 3, key=KEY)],
    "measurements": [lambda m=m: rf.MatrixSensing(m, [1.0]) for m in (EYE, "a", [[[1, 2], [3]]],
                     1j * np.ones((1, 2, 2)), np.ones((0, 2, 2)))],
    "inputs": [lambda x=x: rf.LinearRegression(x, [1.0]) for x in ("a", [1.0, 2.0], [[NAN, 2]], [[1j, 2]])],
    "targets": [lambda y=y: rf.LinearRegression([[1.0, 2.0]], y) for y in ([1, 2], ["a"], [NAN])],
    "z": [lambda z=z: rf.two_by_two(z) for z in (0, "a", NAN)],
    "position": [lambda p=p: rf.two_by_two(position=p) for p in ((2, 0), 3, "ab")],
    "size": [lambda s=s: rf.two_by_two(size=s) for s in (1, 2.5)],
    "rank": [lambda r=r: rf.low_rank_completion((5, 5), r, 3, key=KEY) for r in (0, 6, 1.5)]
    + [lambda r=r: rf.measures.distance_to_rank(EYE, r) for r in (-1, 1.5, "a")],
    "observed": [lambda n=n: rf.low_rank_completion((5, 5), 1, n, key=KEY) for n in (0, 26)],
    "noise": [lambda n=n: rf.low_rank_completion((5, 5), 1, 3, key=KEY, noise=n) for n in (-1, "a", NAN)],
    "key": [lambda k=k: start(key=k) for k in (None, 0, jax.random.PRNGKey(0), jax.random.split(KEY, (2, 2)))]
    + [lambda k=k: rf.low_rank_completion((5, 5), 1, 3, key=k) for k in (None, jax.random.split(KEY, 2))],
    "factors": [lambda f=f: START(f) for f in ([], "ab", None, EYE, [EYE, np.eye(3)], [np.ones((4, 2, 2)), EYE],
                [np.ones((4, 2, 2)), np.ones((3, 2, 2))], [np.ones(2)], [np.ones((0, 2))], [1j * EYE], [[["a"]]])]
    + [lambda f=f: rf.measures.det_sign(f) for f in ([], [np.ones((2, 3))], [EYE, np.eye(3)])]
    + [lambda: rf.measures.unbalancedness("a")],
    "depth": [lambda d=d: start(depth=d) for d in (0, -1, 1.5, "a")],
    "scale": [lambda s=s: start(scale=s) for s in (0, -1, "a", [], [[1.0]], None)]
    + [lambda: start(factor_std=1.0),
        lambda: start(depth=1, scale=1e-60, dtype="float32"), lambda: start(scale=1e300, dtype="float32"),
       lambda: start(kind="identity"), lambda: start(scale=[1.0, 2.0], key=jax.random.split(KEY, 3))],
    "det_sign": [lambda d=d: start(det_sign=d) for d in (0, "+")] + [lambda: start((2, 3), det_sign=1),
                 lambda: start(widths=[1], det_sign=1)],
    "widths": [lambda w=w: start(widths=w) for w in ([2, 2], [0], "a")],
    "kind": [lambda k=k: start(kind=k) for k in ("x", None)] + [lambda k=k: rf.measures.norm(EYE, k) for k in (
             "x", 3, lambda w: w, lambda w: "a", lambda w: None)],
    "alpha": [lambda a=a: START.init((2, 2), 2, kind="identity", alpha=a) for a in (-1, "a", 0)],
    "index": [lambda i=i: START([np.ones((4, 2, 2))]).lane(i) for i in (4, -1, "a", 1.5)],
    "p": [lambda p=p: rf.measures.schatten_norm(EYE, p) for p in (0, -1, NAN, "a", None)],
    "matrix": [lambda m=m: rf.measures.schatten_norm(m, 1) for m in ([1.0, 2.0], "a", None, [[1, 2], [3]], [[1j]])],
    "k": [lambda k=k: rf.measures.ky_fan_norm(EYE, k) for k in (0, 3, 1.5, "a")],
    "rtol": [lambda r=r: rf.measures.numerical_rank(EYE, r) for r in (-1, "a")],
    "where": [lambda w=w: rf.measures.mean_square_error(EYE, EYE, where=w) for w in ([[False] * 2] * 2,
              [[1, 2], [3, 4]])],
    "the step size": [lambda r=r: rf.GradientDescent(r) for r in (0, -1, NAN, [[1.0]])]
    + [lambda: train(dynamics=rf.GradientDescent([1.0, 2.0]))],
    "rule": [lambda r=r: rf.GradientDescent(r) for r in (True, [], "fast", 1j)],
    "beta": [lambda b=b: rf.group_rmsprop(1.0, beta=b) for b in (1.0, "a")],
    "steps": [lambda s=s: rf.Stop(steps=s) for s in (0, 1.5, None)],
    "seconds": [lambda: rf.Stop(seconds="a")],
    "every": [lambda e=e: rf.Record(every=e) for e in (0, 1.5)],
    "at_losses": [lambda a=a: rf.Record(at_losses=a) for a in ([-1.0], "a", [NAN])],
    "schatten_p": [lambda p=p: rf.Record(schatten_p=p) for p in ([0], "a", [NAN])],
    "measures": [lambda m=m: rf.Record(measures=m) for m in ("x", ["x"], [3], 5, ["NORMS"], ["ky_fan_norm"])]
    + [lambda: train(stop=rf.Stop(steps=1), record=rf.Record(measures=[lambda w: "a"]))],
    "problem": [lambda: train("x")],
    "start": [lambda: train(first=None)],
    "dynamics": [lambda: train(dynamics=1e-2)],
    "stop": [lambda: train(stop=5)],
    "record": [lambda: train(record=5)],
}  # fmt: skip


def raised(call):
    """Kind and text of what a call raises."""
    try:
        call()
    except Exception as error:
        return type(error).__name__, str(error)
    return "nothing", ""


if __name__ == "__main__":
    print(json.dumps([(name, i, *raised(call)) for name, calls in CASES.items() for i, call in enumerate(calls)]))

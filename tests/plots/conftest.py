"""Small data sets of the shapes that the experiments store, with plausible numbers and padded lanes."""

import numpy as np
import pytest
import xarray as xr

from rankfall import theory

RECORDS = 40


def _lanes(rows, end=1e-3):
    """Data set of lanes; each row is a dict of its coordinates, plus ``curve`` (of the loss) and ``start``."""
    random = np.random.default_rng(0)
    loss = np.full((len(rows), RECORDS), np.nan)
    entry = np.full((len(rows), RECORDS, 1), np.nan)
    step = np.full((len(rows), RECORDS), -1)
    for lane, row in enumerate(rows):
        count = RECORDS - lane % 5
        stop = end if row["stop_reason"] == "loss" else 20 * end
        loss[lane, :count] = np.geomspace(row.get("start", 1.0), stop, count)
        entry[lane, :count, 0] = row["curve"](loss[lane, :count]) * (1 + 0.05 * random.random())
        step[lane, :count] = np.arange(count) * 50
    names = [name for name in rows[0] if name not in ("curve", "start")]
    data = {
        "loss": (("lane", "record"), loss),
        "unobserved": (("lane", "record", "entry"), entry),
        "step": (("lane", "record"), step),
        "det_sign": (("lane", "record"), np.where(np.isfinite(loss), 1.0, np.nan)),
    }
    return xr.Dataset(data, coords={name: ("lane", np.array([row[name] for row in rows])) for name in names})


def _grown(loss):
    return np.hypot(theory.unobserved_lower_bound(loss), 1e-3 / loss**0.5)


def unobserved_entry():
    rows = []
    for depth in (1, 2, 3, 4):
        kinds = ["balanced", "gaussian", "identity", "negative determinant"]
        for kind in kinds:
            for number, scale in enumerate((1e-5, 1e-6) if kind != "identity" else (1e-3,)):
                for dtype in ("float64", "float32") if kind == "balanced" and depth > 1 else ("float64",):
                    for seed in range(1 + (dtype == "float64")):
                        rows.append({
                            "depth": depth, "kind": kind, "scale": scale, "dtype": dtype, "seed": seed,
                            "learning_rate": 6e-3 / (1 + number), "curve": _curve(depth, kind),
                            "stop_reason": "steps" if kind == "gaussian" and seed else "loss",
                        })  # fmt: skip
    return _lanes(rows)


def _curve(depth, kind):
    if depth == 1:
        return lambda loss: np.full(loss.shape, 1e-5)
    if kind in ("balanced", "gaussian") and depth == 2:
        return lambda loss: np.minimum(_grown(loss), 8.0 if kind == "balanced" else 1.0)
    if kind == "negative determinant":
        return lambda loss: np.minimum(_grown(loss), 0.5 * 3 ** (depth - 2))
    return _grown


def norms_and_rank():
    rows = [
        {"depth": depth, "seed": seed, "kind": "balanced", "stop_reason": "loss", "curve": _grown}
        for depth in (2, 3, 4) for seed in range(3)
    ]  # fmt: skip
    ds = _lanes(rows)
    loss = ds["loss"].values
    there = np.isfinite(loss)
    x = np.where(there, ds["unobserved"].values[..., 0], 0.0)
    p = np.array([0.5, 1.0, 2.0, np.inf])
    shrunk = np.clip(loss, 0, 1)
    values = {
        "effective_rank": 1 + (theory.solution_effective_rank(x) - 1) * shrunk**0.3,
        "distance_to_infimal_rank": theory.solution_distance(x) * shrunk**0.3,
        "rank_suboptimality": theory.solution_rank_suboptimality(x) * shrunk**0.3,
    }
    for name, value in values.items():
        ds[name] = (("lane", "record"), np.where(there, value, np.nan))
    norms = np.where(there[..., None], theory.solution_schatten_norm(x[..., None], p), np.nan)
    ds["schatten_norm"] = (("lane", "record", "p"), norms)
    return ds.assign_coords(p=p)


def perturbation():
    rows = []
    common = {"depth": 3, "stop_reason": "loss"}
    for eps in (0.0, 0.01, 0.1, 0.5):

        def curve(loss, eps=eps):
            return theory.perturbed_unobserved_lower_bound(loss, -2.0, 0.5, eps) + 0.05

        for seed in range(2):
            rows.append({**common, "panel": "eps", "z": -2.0, "z_prime": 0.5, "eps": eps, "position": "(0, 0)",
                         "seed": seed, "sign_matches": True, "start": 2.125, "curve": curve})  # fmt: skip
    for position in ("(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"):
        for matches in (True, False):
            rows.append({**common, "panel": "positions", "z": 1.0, "z_prime": 1.0, "eps": 0.0, "position": position,
                         "seed": 0, "sign_matches": matches,
                         "curve": _grown if matches else _curve(2, "negative determinant")})  # fmt: skip
    return _lanes(rows)


def solution_set():
    half = np.geomspace(1e-3, 100, 100)
    x = np.concatenate([-half[::-1], [0.0], half])
    p = np.array([0.2, 0.5, 1.0, 2.0, np.inf])
    return xr.Dataset(
        {
            "norm_value": (("norm", "x"), theory.solution_schatten_norm(x[None], p[:, None])),
            "effective_rank": ("x", theory.solution_effective_rank(x)),
            "distance_to_infimal_rank": ("x", theory.solution_distance(x)),
            "rank_suboptimality": ("x", theory.solution_rank_suboptimality(x)),
        },
        coords={"x": x, "norm": [f"S_{one:g}" for one in p]},
    )


def determinant_sign():
    random = np.random.default_rng(1)
    kinds = [f"{kind}, depth {depth}" for kind in ("gaussian", "balanced", "orthogonal") for depth in (2, 3, 4)]
    kinds.append("identity")
    share = np.append(0.5 + 0.0016 * random.standard_normal(9), 1.0)
    cells = [(depth, scale, sign) for depth in (2, 3, 4) for scale in (1e-8, 1e-3, 100.0) for sign in (1, -1)]
    runs = [cell for cell in cells for _ in range(4)]
    depth, scale, sign = (np.array(column) for column in zip(*runs, strict=True))
    reason = np.where((scale > 1) & (depth > 2), "diverged", np.where((scale < 1e-6) & (depth > 3), "steps", "loss"))
    grown = np.where(depth == 2, 8.0, 22.4)
    final = np.where(sign > 0, grown, 0.4 * 4.0 ** (depth - 2)) * (1 + 0.2 * random.random(len(runs)))
    final[reason == "diverged"] = np.nan
    entries = 22.4 / (1 + 10.0 ** (np.arange(6) - np.array([[-3], [4], [5]])))[..., None] * np.ones(4)
    sizes = np.array([6e-2, 6e-3, 6e-4])
    over = ("precision", "step_size", "seed")
    return xr.Dataset(
        {
            "probability": ("depth_kind", share),
            "low": ("depth_kind", np.full(10, 0.4937)),
            "high": ("depth_kind", np.full(10, 0.5063)),
            "unobserved": ("run", final),
            "final_loss": ("run", np.where(reason == "loss", 1e-3, np.where(reason == "steps", 1.0, np.nan))),
            "start_sign": ("run", sign),
            "depth": ("run", depth),
            "scale": ("run", scale),
            "reason": ("run", reason),
            "unobserved_by_imbalance": (("imbalance_depth", "imbalance", "seed"), entries),
            "unobserved_by_step_size": (over, 3.0 + random.random((2, 3, 4))),
            "unbalancedness": (over, np.stack([sizes, sizes**-1 / 1e3])[..., None] * (1 + random.random(4))),
        },
        coords={
            "depth_kind": kinds,
            "imbalance_depth": [2, 3, 4],
            "imbalance": [1e-8, 1e-4, 1e-2, 1e-1, 1.0, 10.0],
            "step_size": sizes,
            "precision": ["float64", "float32"],
        },
        attrs={"target_loss": 1e-3},
    )


def norm_of_regression():
    step = np.unique(np.geomspace(1, 20_000, 50).astype(int))
    step = np.append(0, step)
    near = np.stack([np.maximum(np.exp(-step / 400), 1e-14), np.maximum(4 * np.exp(-step / 400), 1e-14),
                     np.exp(-step / 350)])  # fmt: skip
    far = np.stack([near[0], 5 + near[1], 0.2 + near[2]])
    norm = np.stack([1 - near[0], 5 + near[1], 0.85 - 0.85 * near[2]])
    return xr.Dataset(
        {
            "distance": (("method", "record"), near),
            "distance_to_min_l2": (("method", "record"), far),
            "norm": (("method", "record"), norm),
        },
        coords={"method": ["from zero", "from w0", "weight decay"], "step": ("record", step)},
        attrs={"min_l2_norm": 1.0},
    )


def gradient_flow():
    rows = []
    for depth in (2, 3, 8):
        for method, dtype, sign in (
            ("flow", "float64", 1), ("flow", "float64", -1), ("descent", "float64", 1), ("descent", "float32", 1)
        ):  # fmt: skip
            if method == "flow" or depth == 2:
                kind = "negative determinant" if sign < 0 else "balanced" if method == "descent" else "identity"
                row = {"depth": depth, "method": method, "dtype": dtype, "start_sign": sign, "stop_reason": "loss",
                       "curve": _curve(depth, kind)}  # fmt: skip
                rows += [row, row]
    ds = _lanes(rows, 1e-12)
    ds["log_abs_det"] = -3 - ds["unobserved"][..., 0] ** 2 / 2
    ds.attrs["target_loss"] = 1e-12
    return ds


def depth_law():
    rows = [
        {"depth": depth, "stop_reason": "loss", "curve": _grown} for depth in (2.0, 2.5, 3.0, 8.0) for _ in range(2)
    ]
    ds = _lanes(rows, 1e-12)
    x = ds["unobserved"][..., 0]
    power = 2 * np.log(3) - 4 / (ds["depth"] - 1.9) * np.log(x)
    ds["log_abs_det"] = xr.where(ds["depth"] > 2, power, -(x**2) / 2).transpose("lane", "record")
    return ds


def convergence():
    rows = [
        {"alpha": alpha, "start_sign": sign, "stop_reason": "loss",
         "curve": _curve(2, "identity" if sign > 0 else "negative determinant")}
        for sign in (1, -1) for alpha in (1e-3, 1.0, 20.0)
    ]  # fmt: skip
    ds = _lanes(rows, 1e-12)
    ds["time"] = ds["unobserved"][..., 0] ** 3 / 6 + ds["alpha"] ** -0.1 - ds["alpha"] ** 2
    return ds


def balancedness():
    rows = [
        {"depth": depth, "imbalance": imbalance, "stop_reason": "loss",
         "curve": _curve(2, "balanced" if depth == 2 or imbalance else "identity")}
        for depth in (2, 3) for imbalance in (0.0, 1e-8, 1e-4)
    ]  # fmt: skip
    ds = _lanes(rows, 1e-8)
    x = ds["unobserved"][..., 0]
    ds["log_smaller"] = xr.where(ds["depth"] == 2, -(x**2) / 2, -5 * np.log(1 + x)).transpose("lane", "record")
    ds["det_sign"] = xr.where((ds["imbalance"] > 0) & (ds["record"] > 20), -1.0, ds["det_sign"])
    return ds.transpose("lane", "record", ...)


def singular_values():
    tasks = np.repeat(["completion", "two by two"], [3, 1])
    depths, spacing = np.array([2, 3, 4, 3]), 1e-3
    time = np.linspace(0.5, 20.0, 40)
    stencil = time[:, None] + spacing * np.arange(-2, 3)
    start = np.array([3e-3, 2e-3, 1e-3])
    sigma = start * np.exp(stencil[..., None] * np.array([0.4, 0.2, 0.01]))
    sigma = np.repeat(sigma[None], 4, axis=0)
    sigma[3, ..., 2] = np.nan
    middle = sigma[:, :, 2]
    slope = -middle * np.array([0.4, 0.2, 0.01]) / (depths[:, None, None] * middle ** (2 - 2 / depths[:, None, None]))
    over = ("lane", "record")
    return xr.Dataset(
        {
            "step": (over, np.repeat(np.arange(40)[None], 4, axis=0)),
            "time": (over, np.repeat(time[None], 4, axis=0)),
            "loss": (over, np.repeat(np.exp(-time)[None], 4, axis=0)),
            "singular_values": ((*over, "stencil", "singular_value"), sigma),
            "alignment": ((*over, "singular_value"), slope),
            "true_singular_values": ("singular_value", np.array([8.0, 0.1, 0.0])),
        },
        coords={"task": ("lane", tasks), "depth": ("lane", depths), "seed": ("lane", np.zeros(4, int))},
        attrs={"rank": 2, "spacing": spacing},
    )


def spectrum_dynamics(task="random"):
    depths = [1, 2, 3, 4] if task == "random" else [1, 2, 3]
    starts = [("small", 0), ("small", 1), ("large", 0)] if task == "random" else [("small", 0)]
    rows = [(depth, start, target) for depth in depths for start, target in starts]
    depth, start, target = (np.array(column) for column in zip(*rows, strict=True))
    time = np.linspace(0.0, 50.0, 60)
    late = np.arange(5) * 8.0 * (depth[:, None] - 1)
    sigma = np.array([9.0, 7.0, 5.0, 0.5, 0.1]) / (1 + np.exp(late[:, None] + 10 - time[:, None]))
    loss = np.repeat(np.geomspace(1.0, 1e-3, 60)[None], len(rows), axis=0)
    loss[-1, 50:] = np.nan
    over = ("lane", "record")
    mean = np.stack([1e-2 * loss, 1e-3 * loss], axis=-1)
    mean[depth != 2] = np.nan
    return xr.Dataset(
        {
            "loss": (over, loss),
            "time": (over, np.repeat(time[None], len(rows), axis=0)),
            "step": (over, np.where(np.isfinite(loss), np.arange(60), -1)),
            "effective_rank": (over, 1 + 10 * loss / depth[:, None]),
            "singular_values": ((*over, "number"), sigma),
            "gradient_mean": ((*over, "place"), mean),
            "gradient_largest": ((*over, "place"), 5 * mean),
        },
        coords={
            "depth": ("lane", depth),
            "start": ("lane", start),
            "target": ("lane", target),
            "place": ["diagonal", "off the diagonal"],
        },
        attrs={"task": task} | ({"rank": 3} if task == "random" else {}),
    )


def tensor_order():
    rows = [
        (rank, observed, std, repetition)
        for rank in (1, 3)
        for observed in (100, 250, 511)
        for std in (1e-3, 1e-2, 0.3)
        for repetition in range(3)
        if std < 0.1 or observed == 250
    ]
    rank, observed, std, repetition = (np.array(column) for column in zip(*rows, strict=True))
    error = np.where(std > 0.1, 1.0, std**2 * 250 / observed * (1 + repetition))
    lower = np.where(std > 0.1, 8, rank + (observed < 200))
    return xr.Dataset(
        {
            "error": ("run", error),
            "lower": ("run", lower),
            "upper": ("run", np.where(std > 0.1, 64, lower)),
            "linear_error": (("target_rank", "count"), np.array([[0.9, 0.7, 0.001], [0.9, 0.7, 0.02]])),
            "linear_lower": (("target_rank", "count"), np.array([[8, 8, 2], [8, 8, 4]])),
        },
        coords={
            "rank": ("run", rank),
            "observed": ("run", observed),
            "factor_std": ("run", std),
            "rule": ("run", np.full(len(rows), "exponential")),
            "target_rank": [1, 3],
            "count": [100, 250, 511],
        },
        attrs={"order": 3, "extent": 8, "rtol": 1e-3, "factor_std": [1e-3, 1e-2], "large_std": 0.3},
    )


def component_norms():
    stds, steps = [1e-2, 3e-2, 0.4], np.arange(60)
    time = np.stack([steps / std for std in stds])
    rise = np.stack([1 / (1 + np.exp(-(steps - 15 * (k + 1)))) for k in range(4)], axis=-1)
    norms = np.stack([rise * [1.0, 0.7, 0.5, 1e-6 if std < 0.1 else 0.4] for std in stds])
    loss = np.stack([np.exp(-steps / 2.0)] * 3)
    loss[2, 40:] = np.nan
    over = ("lane", "record")
    return xr.Dataset(
        {
            "loss": (over, loss),
            "time": (over, time),
            "step": (over, np.stack([steps] * 3)),
            "reconstruction_error": (over, np.sqrt(loss)),
            "component_norms": ((*over, "component"), norms),
        },
        coords={"factor_std": ("lane", stds), "target": ("lane", [0, 0, 0])},
        attrs={"order": 4, "rank": 3},
    )


def mapping_rank():
    networks, cuts = ["shallow circuit", "deep circuit", "tanh network"], ["1", "12", "13", "14", "123", "124", "134"]
    rows = [(n, size, seed) for n in networks for size in ("small", "large") for seed in range(2)]
    ds = _lanes([
        {"network": n, "size": size, "seed": seed, "stop_reason": "loss", "curve": _grown} for n, size, seed in rows
    ])  # fmt: skip
    top = np.array([2.0 if size == "small" else 8.0 for _, size, _ in rows])
    ranks = 2 + np.abs(np.log10(ds["loss"].values))[..., None] * (top - 2)[:, None, None] / 3 + np.zeros(len(cuts))
    return ds.drop_vars(["unobserved"]).assign_coords(
        start=("lane", [size for _, size, _ in rows]), cut=cuts
    ).assign(
        effective_rank=(("lane", "record", "cut"), ranks),
        target=("cut", np.full(len(cuts), 2.0)),
        zeros_elsewhere=("cut", np.full(len(cuts), 9.0)),
    )  # fmt: skip


def circuit_equivalence():
    lanes = [
        (model, path)
        for model in ("shallow", "deep", "order 2")
        for path in ("network", "nudged network", "factorization")
    ]
    lanes += [("order 2", "depth 2"), ("order 2", "depth 3")]
    step = np.arange(0, 1001, 20)
    far = {"network": 1e-15, "nudged network": 1e-6, "factorization": 0.0, "depth 2": 1e-15, "depth 3": 1e-1}
    rate = {"shallow": 100, "deep": 200, "order 2": 50}
    cuts = ["1", "2", "3", "4", "1,2", "1,3"]
    spectra = np.full((2, 6, 16), np.nan)
    for cut, rank in enumerate((3, 3, 3, 3, 2, 9)):
        spectra[:, cut, : 4 if cut < 4 else 16] = 1e-16
        spectra[:, cut, :rank] = np.geomspace(10, 1, rank)
    return xr.Dataset(
        {
            "loss": (("lane", "step"), np.stack([np.exp(-step / rate[model]) for model, _ in lanes])),
            "distance": (("lane", "step"), np.stack([far[path] * np.sqrt(step) for _, path in lanes])),
            "singular_values": (("circuit", "cut", "number"), spectra),
        },
        coords={
            "model": ("lane", [model for model, _ in lanes]),
            "path": ("lane", [path for _, path in lanes]),
            "step": step,
            "circuit": ["shallow", "deep"],
            "cut": cuts,
        },
        attrs={"order": 4, "extent": 4, "widths": [3, 3, 2], "nudge": 1e-6},
    )


def overparameterisation():
    rows = [
        (family, size, start, repetition)
        for family, sizes, starts in (("tensor", (2, 3, 36, 72), (1e-3, 0.5)), ("matrix", (1, 2, 12, 24), (1e-6, 0.3)))
        for size in sizes
        for start in starts
        for repetition in range(3)
    ]
    family, size, start, repetition = (np.array(column) for column in zip(*rows, strict=True))
    rank = np.where(family == "tensor", 3, 2)
    error = np.where(size < rank, 0.5, np.where(start > 0.1, 1e-5 * size**3.0, 1e-5)) * (1 + repetition)
    lower = np.where(start > 0.1, np.minimum(size, 6), np.minimum(size, rank))
    return xr.Dataset(
        {
            "error": ("run", error),
            "lower": ("run", lower),
            "upper": ("run", np.where(lower == 6, 36, lower)),
        },
        coords={"family": ("run", family), "size": ("run", size), "start": ("run", start)},
        attrs={
            "tensor_rank": 3, "tensor_most": 36, "tensor_extent": 6, "tensor_order": 3, "tensor_starts": [1e-3, 0.5],
            "matrix_rank": 2, "matrix_most": 12, "matrix_extent": 12, "matrix_order": 2, "matrix_starts": [1e-6, 0.3],
            "matrix_depth": 3, "rtol": 1e-3,
        },
    )  # fmt: skip


def rank_of_data():
    ranks, over = np.array([1, 2, 4]), ("rank", "variant", "class")
    level = np.stack([[0.044, 0.088, 0.087], [0.041, 0.087, 0.083], [0.039, 0.085, 0.072]])
    error = level[..., None] + 1e-3 * np.arange(-5, 5)
    return xr.Dataset(
        {"train_error": (over, error), "test_error": (over, 1.1 * error), "variance": ("class", np.full(10, 0.09))},
        coords={"rank": ranks, "variant": ["original", "random labels", "random images"], "class": np.arange(10)},
        attrs={"order": 64, "images": 4000, "test_images": 2000, "compared": 4},
    )


def hierarchical():
    nodes = {"matrix": ["all"], "CP": ["all"], "hierarchical": ["(0, 1)", "(2, 3)", "((0, 1), (2, 3))"]}
    rows = [(kind, start, node) for kind in nodes for start in ("small", "large") for node in nodes[kind]]
    kind, start, node = (np.array(column) for column in zip(*rows, strict=True))
    steps, count = np.arange(60), len(rows)
    rise = np.stack([1 / (1 + np.exp(-(steps - 15 * (k + 1)))) for k in range(4)], axis=-1)
    others = np.where(start == "small", 1e-3, 0.4)
    norms = rise * np.stack([[1.0, 0.7, 0.5, other] for other in others])[:, None]
    loss = np.repeat(np.exp(-steps / 2.0)[None], count, axis=0)
    loss[start == "large", 40:] = np.nan
    over = ("lane", "record")
    return xr.Dataset(
        {
            "loss": (over, loss),
            "step": (over, np.where(np.isfinite(loss), steps, -1)),
            "error": (over, np.sqrt(loss) + others[:, None]),
            "norms": ((*over, "component"), norms),
        },
        coords={
            "factorization": ("lane", kind),
            "start": ("lane", start),
            "node": ("lane", node),
            "std": ("lane", np.where(start == "small", 1e-3, 0.4)),
        },
        attrs={"rank": 3},
    )


def any_norm():
    names, x, loss = ["nuclear", "tilted"], np.linspace(-9, 9, 21), np.geomspace(1, 1e-6, 30)
    values = np.stack([np.sqrt(x**2 + 4), np.sqrt(x**2 + x + 2)])
    path = 1 / np.sqrt(loss)
    return xr.Dataset(
        {
            "minimiser": ("norm", [0.0, -0.5]),
            "minimum": ("norm", [2.0, 1.3]),
            "lower_bound": ("norm", [2.0, -np.inf]),
            "status": ("norm", ["optimal", "grid"]),
            "on_solutions": (("norm", "x"), values),
            "along_flow": (("depth", "norm", "record"), np.stack([[path, path]] * 2)),
            "unobserved": (("depth", "record"), np.stack([path, path])),
            "loss": ("record", loss),
            "where_proved": 1.0,
        },
        coords={"norm": names, "x": x, "depth": [2, 3]},
    )


def nuclear_norm_or_not():
    rows = [(count, depth, scale) for count in (200, 500) for depth in (2, 3) for scale in (1e-3, 1e-6)]
    observed, depth, scale = (np.array(column) for column in zip(*rows, strict=True))
    cases = {"case_kind": ("case", ["completion"] * 2), "case_observed": ("case", [200, 500])}
    fits = ("run", ["loss"] * len(rows))
    return xr.Dataset(
        {
            "error": ("run", np.sqrt(scale) / depth),
            "nuclear": ("run", 10 + scale),
            "effective_rank": ("run", 5 + 100 * scale),
            "least_error": ("case", [0.2, 1e-8]),
            "least_nuclear": ("case", [9.0, 10.0]),
            "least_effective_rank": ("case", [8.0, 5.0]),
            "true_nuclear": ("case", [10.0, 10.0]),
        },
        coords={"kind": ("run", ["completion"] * len(rows)), "observed": ("run", observed), "depth": ("run", depth),
                "scale": ("run", scale), "stop_reason": fits, **cases},
    )  # fmt: skip


def exact_recovery():
    multiple, solution = [1.5, 3.0, 8.0], ["least nuclear norm", "zeros elsewhere", "depth 3"]
    error = np.array([[0.5, 0.9, 0.5], [0.1, 0.8, 1e-5], [1e-8, 0.5, 1e-5]])
    return xr.Dataset(
        {"error": (("multiple", "repetition", "solution"), np.repeat(error[:, None], 3, axis=1))},
        coords={"multiple": multiple, "solution": solution},
        attrs={"extent": 40, "rank": 2, "recovered": 1e-3},
    )


DATASETS = {
    "exact-recovery": exact_recovery,
    "nuclear-norm-or-not": nuclear_norm_or_not,
    "any-norm": any_norm,
    "unobserved-entry": unobserved_entry,
    "norms-and-rank": norms_and_rank,
    "perturbation": perturbation,
    "solution-set": solution_set,
    "determinant-sign": determinant_sign,
    "norm-of-regression": norm_of_regression,
    "gradient-flow": gradient_flow,
    "depth-law": depth_law,
    "singular-values": singular_values,
    "spectrum-dynamics": spectrum_dynamics,
    "convergence": convergence,
    "balancedness": balancedness,
    "tensor-order3": tensor_order,
    "tensor-order4": tensor_order,
    "component-norms": component_norms,
    "mapping-rank": mapping_rank,
    "circuit-equivalence": circuit_equivalence,
    "overparameterisation": overparameterisation,
    "rank-of-data": rank_of_data,
    "hierarchical": hierarchical,
}


@pytest.fixture
def ratings():
    """What spectrum-dynamics stores where a user brings ratings."""
    return spectrum_dynamics("ratings")


@pytest.fixture(params=sorted(DATASETS))
def name(request):
    return request.param


@pytest.fixture
def dataset(name):
    return DATASETS[name]()

import numpy as np

from every_room import *
from made_up import curve_of, lanes
from rankfall.theory import unobserved_lower_bound

PANELS = 4
DTYPES = {"float64", "float32"}
FALL_WITH_THE_ENTRY = {
    "bound-depth-2",
    "bound-depth-3",
    "bound-depth-4",
    "growth-depth-3",
    "growth-depth-4",
    "bound-while-positive",
    "depth-1-stays",
}
ONE_LABEL_A_ROW = True


def made():
    rows = []
    for depth in (1, 2, 3, 4):
        kinds = ["balanced", "gaussian", "identity", "negative determinant"]
        for kind in kinds:
            for number, scale in enumerate((1e-5, 1e-6) if kind != "identity" else (1e-3,)):
                for dtype in ("float64", "float32") if kind == "balanced" and depth > 1 else ("float64",):
                    for seed in range(1 + (dtype == "float64")):
                        rows.append({
                            "depth": depth, "kind": kind, "scale": scale, "dtype": dtype, "seed": seed,
                            "learning_rate": 6e-3 / (1 + number), "curve": curve_of(depth, kind),
                            "stop_reason": "steps" if kind == "gaussian" and seed else "loss",
                        })  # fmt: skip
    return lanes(rows)


def test_every_depth_and_precision_is_there(stored):
    float32 = stored.sel(lane=stored["dtype"] == "float32")
    assert set(np.unique(float32["depth"])) == {2, 3, 4}
    reasons = stored["stop_reason"].values
    assert set(reasons) <= {"loss", "steps"}


def test_all_panels_are_over_the_loss(draw, dataset):
    assert all(ax.get_xlabel().startswith("loss (") for ax in draw(dataset).axes)


def test_the_proved_bound_is_drawn(draw, dataset):
    for ax in draw(dataset).axes[1:]:
        thick = max(ax.get_lines(), key=lambda line: line.get_linewidth())
        x, y = thick.get_data()
        np.testing.assert_array_equal(y, unobserved_lower_bound(x))

from every_room import *
from made_up import curve_of, lanes

PANELS = 3
DTYPES = {"float64", "float32"}
FALL_WITH_THE_ENTRY = {*(f"bound-depth-{depth}" for depth in (2, 3, 4, 8)), "growth", "determinant-depth-2"}


def made():
    rows = []
    for depth in (2, 3, 8):
        for method, dtype, sign in (
            ("flow", "float64", 1), ("flow", "float64", -1), ("descent", "float64", 1), ("descent", "float32", 1)
        ):  # fmt: skip
            if method == "flow" or depth == 2:
                kind = "negative determinant" if sign < 0 else "balanced" if method == "descent" else "identity"
                row = {"depth": depth, "method": method, "dtype": dtype, "start_sign": sign, "stop_reason": "loss",
                       "curve": curve_of(depth, kind)}  # fmt: skip
                rows += [row, row]
    ds = lanes(rows, 1e-12)
    ds["log_abs_det"] = -3 - ds["unobserved"][..., 0] ** 2 / 2
    ds.attrs["target_loss"] = 1e-12
    return ds

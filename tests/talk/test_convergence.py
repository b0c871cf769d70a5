from every_room import *
from made_up import curve_of, lanes

PANELS = 3
FALL_WITH_THE_ENTRY = {
    "entry-grows-like-the-cube-root-of-time",
    "time-to-the-next-orders",
    "small-starts-pay-the-escape",
    "trace-difference-rises",
}


def made():
    rows = [
        {"alpha": alpha, "start_sign": sign, "stop_reason": "loss",
         "curve": curve_of(2, "identity" if sign > 0 else "negative determinant")}
        for sign in (1, -1) for alpha in (1e-3, 1.0, 20.0)
    ]  # fmt: skip
    ds = lanes(rows, 1e-12)
    ds["time"] = ds["unobserved"][..., 0] ** 3 / 6 + ds["alpha"] ** -0.1 - ds["alpha"] ** 2
    return ds

from every_room import *
from made_up import curve_of, grown, lanes
from rankfall import theory

PANELS = 2
FALL_WITH_THE_ENTRY = {
    *(f"bound-eps-{eps}" for eps in ("0", "0.01", "0.05", "0.1", "0.5")),
    *(f"limit-eps-{eps}" for eps in ("0.05", "0.1", "0.5")),
    *(f"position-({row}, {column})" for row in (0, 1) for column in (0, 1)),
}


def made():
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
                         "curve": grown if matches else curve_of(2, "negative determinant")})  # fmt: skip
    return lanes(rows)


def test_all_panels_are_over_the_loss(draw, dataset):
    assert all(ax.get_xlabel().startswith("loss (") for ax in draw(dataset).axes)

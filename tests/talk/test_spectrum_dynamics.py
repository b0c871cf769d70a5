import numpy as np
import xarray as xr

from every_room import *

PANELS = 6
LOSS = "mse"


def made(task="random"):
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


def test_claims_about_depth_fall_each_by_what_it_measures(experiment, stored, fallen):
    assert fallen() == set()
    assert fallen(test_error=stored["test_error"] + 0.05) == {"deep-is-completed"}
    assert fallen(effective_rank=stored["effective_rank"] + 2) == {"few-at-half-the-loss"}
    assert fallen(gradient_mean=stored["gradient_mean"].roll(place=1)) == {"gradient-is-diagonal"}
    assert fallen(law_error=stored["law_error"].roll(exponent=1)) == {"law-of-the-singular-values"}
    # The second as early as the first; and as much left behind at depth 4 as at depth 3.
    early = stored["singular_values"].where(stored["number"] != 1, stored["singular_values"].isel(number=0))
    assert fallen(singular_values=early) == {"one-after-another"}
    left = stored["singular_values"] * xr.where((stored["number"] > 2) & (stored["depth"] == 4), 3.0, 1.0)
    assert fallen(singular_values=left.transpose("lane", "record", "number")) == {"deeper-leaves-less-behind"}
    exchanged = stored.assign_coords(depth=("lane", 5 - stored["depth"].values))
    assert [c.name for c in experiment.claims(exchanged) if c.holds] == ["law-of-the-singular-values"]


def test_ratings_are_drawn_without_a_rank(draw):
    """What is stored where a user brings ratings."""
    whole = draw(made("ratings"))
    whole.draw_without_rendering()
    assert len(whole.axes) == 5 and "MovieLens" in whole.get_suptitle()
    assert [ax.get_yscale() for ax in whole.axes] == ["log"] * 5
    assert whole.axes[-1].get_ylabel() == "effective rank"

"""A tiny experiment in place of the real ones, whose claims depend on what is stored."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from rankfall import talk
from rankfall.claims import Claim
from rankfall.experiments import Experiment, Rooms
from rankfall.experiments import Settings as AnySettings


class Settings(AnySettings):
    seed: int = 7
    steps: int = 3
    sizes: list[float] = [1.0]


class Tiny(Experiment):
    """An experiment that can be told to go wrong, and remembers what it was asked."""

    def __init__(self, name):
        super().__init__(
            name, "A <tiny> & quick experiment", 'Is "two" < three?', Settings, self._compute, self._claims,
            published={"fin*": ("steps",)},
        )  # fmt: skip
        self.value, self.holds, self.error, self.calls = 2.0, True, None, []

    def _compute(self, settings, progress):
        self.calls.append((settings, progress))
        return xr.Dataset({"value": ("record", np.array([self.value]))}, attrs={"note": "kept"})

    def _claims(self, dataset):
        # Attributes that exist only in the stored file, and values of that file
        assert dataset.attrs["experiment"] == self.name
        if self.error is not None:
            raise self.error
        measured = float(dataset["value"][0])
        control = {"what": "with <three>", "measured": 3.0, "fails": True}
        return [
            Claim("two", "the value is <2>", "arithmetic & more", 2.0, measured, 0.0, self.holds, control),
            Claim("finite", "the value has no limit", "nobody", float("inf"), measured, 0.0, True),
        ]


class Few(dict, Rooms):
    """Some experiments, in place of the rooms of the talk."""

    def __init__(self, experiments):
        dict.__init__(self, experiments)

    def settings(self, name, full=False):
        return Settings(steps=300 if full else 3)

    def draw(self, name, dataset):
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot(dataset["value"].values, "o")
        return figure

    def files(self):
        return {}


@pytest.fixture
def tiny(monkeypatch):
    """Experiments ``tiny-one`` and ``tiny-two`` instead of the real ones."""
    known = Few((name, Tiny(name)) for name in ("tiny-one", "tiny-two"))
    monkeypatch.setattr(talk, "EXPERIMENTS", known)
    return known

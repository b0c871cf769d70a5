"""A tiny experiment in place of the real ones, whose claims depend on what is stored."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from pydantic import BaseModel

from rankfall import talk
from rankfall.claims import Claim
from rankfall.experiments import Settings as AnySettings


class Settings(AnySettings):
    seed: int = 7
    steps: int = 3


@dataclass
class Tiny:
    """An experiment that can be told to go wrong, and remembers what it was asked."""

    name: str
    title: str = "A <tiny> & quick experiment"
    question: str = 'Is "two" < three?'
    settings: type[BaseModel] = Settings
    value: float = 2.0
    holds: bool = True
    error: BaseException | None = None
    calls: list[Any] = field(default_factory=list)

    def compute(self, settings, progress):
        self.calls.append((settings, progress))
        return xr.Dataset({"value": ("record", np.array([self.value]))}, attrs={"note": "kept"})

    def claims(self, dataset):
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


class Few(dict):
    """Some experiments, in place of the rooms of the talk."""

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

"""A small sweep that many tests share: one kind of run, compiled once."""

import rankfall as rf


def declared(**tables):
    """A sweep of two runs that take a moment, with other tables in the place of its own."""
    given = {
        "problem": {"name": "two-by-two"},
        "factorization": {"name": "matrix", "depth": 2, "kind": "balanced", "scale": 0.1, "det_sign": 1},
        "dynamics": {"name": "gradient-descent", "step_size": 0.05},
        "stop": {"loss": 0.1},
        "record": {"at_losses": [0.4, 0.2]},
        "seeds": 2,
    }
    return given | tables


def scales(*values, **tables):
    """The same from starts of several scales."""
    given = declared(sweep={"factorization.scale": list(values)}, **tables)
    given["factorization"] = {k: v for k, v in given["factorization"].items() if k != "scale"}
    return rf.Sweep(**given)


def long():
    """One training of a few seconds, on the way to no loss."""
    return rf.Sweep(**declared(dynamics={"name": "gradient-descent", "step_size": 1e-5}, record={}, seeds=1,
                               stop={"steps": 15_000_000}))  # fmt: skip

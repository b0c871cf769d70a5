"""Pictures and claims of a sweep, beside its runs."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from ..claims import Claim
from ..plots import import_matplotlib
from . import verdicts
from .disk import replace_file, storing

if TYPE_CHECKING:
    from .declaration import Sweep


def show(
    sweep: "Sweep", results: xr.Dataset, out: Path, say: Callable[[str], None], changed: bool = True
) -> Sequence[Claim]:
    """Check the claims of a sweep and return them; draw its pictures, those that are not there if nothing changed."""
    claims = verdicts.checked(results, sweep.claims) if sweep.claim else []
    if claims:
        verdicts.write(claims, out)
    for n, table in enumerate(sweep.figures, 1):
        name = f"figure-{table.name or n}.png"
        if not changed and (out / name).exists():
            say(str(out / name))
            continue
        import_matplotlib()
        from . import figures

        drawn = figures.draw(results, table, f"figure.{n}")
        content = io.BytesIO()
        drawn.savefig(content, format="png", dpi=130)
        with storing(out):
            replace_file(out / name, content.getvalue())
        say(str(out / name))
    return claims

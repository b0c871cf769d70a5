"""One page with every stored result on it, in one file that needs nothing else."""

import base64
import json
import math
import os
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from .. import _checks
from ..experiments.folders import storing
from .reading import Result, read, sweeps

TITLE = "Which solution does gradient descent pick?"
COLUMNS = ("Statement", "Source", "Expected", "Measured", "Tolerance", "Verdict", "Control")
WORDS = {"inf": "∞", "-inf": "−∞", "nan": "not a number"}

INTRODUCTION = """\
<p>When many solutions fit the data equally well, training has to pick one, and nobody told it which. A common answer
is that gradient descent picks the solution of smallest norm. Take the smallest question where that can be checked:
complete the matrix <code>[[*, 1], [1, 0]]</code>, whose first entry was never observed. Any value of that entry fits
the three numbers that were observed, and setting it to zero gives the smallest norm.</p>
<p>Write the matrix as a product of several matrices and train these from a start near zero whose determinant is
positive. As the loss goes to zero, the unobserved entry grows without limit, and with it every norm and
quasi-norm. What falls is the rank: the matrix, measured by its effective rank and by its distance from
the matrices of rank one, comes ever closer to the lowest rank the observations allow. Factorizations of
tensors find tensors of the lowest rank in the same way. The claims below put numbers on that. A negative
control, where there is one, repeats the measurement where the claim must fail.</p>
"""

STYLE = """\
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1.25rem 4rem; color: #1b1b1b; background: #fff;
       font: 1.05rem/1.6 Georgia, 'Times New Roman', serif; }
h1, h2, h3, table, summary, nav, .summary { font-family: system-ui, -apple-system, 'Segoe UI', sans-serif; }
h1 { line-height: 1.2; } h2 { margin-top: 3rem; line-height: 1.25; border-top: 1px solid #ccc; padding-top: 1.5rem; }
p, li { max-width: 42rem; } .summary { font-size: 1.2rem; font-weight: 600; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; line-height: 1.4; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 0.6rem; border-bottom: 1px solid #ddd;
         overflow-wrap: anywhere; }
th { border-bottom: 2px solid #777; } th, .verdict { overflow-wrap: normal; } .verdict { font-weight: 600; }
.holds { color: #0b5d1e; } .fails { color: #a3001b; }
code, pre { font-family: ui-monospace, Consolas, monospace; font-size: 0.85em; }
pre { overflow-x: auto; background: #f5f5f5; padding: 0.8rem; }
details { margin: 1rem 0; } summary { cursor: pointer; }
@media (max-width: 50rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, td { display: block; } tr { border-bottom: 2px solid #777; padding: 0.5rem 0; }
  td { border: 0; padding: 0.15rem 0; } td[data-label]::before { content: attr(data-label) ": "; font-weight: 600; }
}
"""


def write_page(out: str | os.PathLike[str], names: Sequence[str]) -> Path:
    """Write ``out/report.html`` from what is stored in ``out``; nothing is computed again.

    Parameters
    ----------
    out : path
        Folder of the results.
    names : sequence of str
        Which of them to show, in this order; figures and claims of sweeps in the folder come after them.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    ValueError
        If a result is missing, incomplete or not as `reproduce` wrote it, or the page cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     page = write_page(out, [])
    >>> page.name
    'report.html'
    """
    folder = _checks.folder("out", out)
    results = [read(folder, name) for name in _checks.sequence("names", names, "a list of names of stored results")]
    results += sweeps(folder)
    page, partial = folder / "report.html", folder / f".report.partial-{os.getpid()}"
    with storing(folder):
        try:
            partial.write_text(_page(results), encoding="utf-8")
            partial.replace(page)
        finally:
            partial.unlink(missing_ok=True)
    return page


def _page(results: Sequence[Result]) -> str:
    claims = [claim for result in results for claim in result.claims]
    sections = "".join(map(_section, results))
    bibliography = resources.files("rankfall.report").joinpath("references.bib").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{TITLE}</h1>\n{INTRODUCTION}"
        f'<p class="summary">{count(map(_verdict_of, claims))}</p>\n'
        f"{sections}<section>\n<h2>What this rests on</h2>\n<pre>{escape(bibliography)}</pre>\n</section>\n"
        "</main>\n</body>\n</html>\n"
    )


def count(verdicts: Iterable[bool | None]) -> str:
    """Say how many claims hold, of those that apply.

    Parameters
    ----------
    verdicts : iterable of bool or None
        Whether each holds; None of one that does not apply.

    Returns
    -------
    str

    Examples
    --------
    >>> count([True, False, None])
    '1 of 2 claims hold; 1 more is not applicable.'
    """
    listed = list(verdicts)
    applying = [one for one in listed if one is not None]
    rest = len(listed) - len(applying)
    tail = f"; {rest} more {'is' if rest == 1 else 'are'} not applicable" if rest else ""
    return f"{sum(applying)} of {len(applying)} claims hold{tail}."


def _verdict_of(claim: dict[str, Any]) -> bool | None:
    """Whether a stored claim holds and its control, if it has one, fails; None if it does not apply."""
    if claim["holds"] is None:
        return None
    return bool(claim["holds"] and (claim["control"] is None or claim["control"]["fails"]))


def _section(result: Result) -> str:
    name, claims, attrs = escape(result.name), result.claims, result.attrs
    title = str(attrs.get("title", result.name))
    counted = count(map(_verdict_of, claims)).replace("claims hold", "claims about it hold").rstrip(".")
    changes = f"<p>At other settings: <code>{escape(str(attrs['changed']))}</code></p>\n" if "changed" in attrs else ""
    words = f"Plot of the {'sweep' if _is_sweep(result) else 'experiment'} {name}: {escape(title)}; {counted}."
    pictures = "\n".join(_picture(content, words) for content in result.pictures)
    if not pictures and not _is_sweep(result):
        pictures = "<p>Its picture could not be drawn.</p>"
    return (
        f'<section id="{name}">\n<h2>{escape(title)}</h2>\n'
        f"<p>{escape(str(attrs.get('question', '')))}</p>\n{changes}{pictures}\n"
        f"{_table(claims)}{_details(attrs)}</section>\n"
    )


def _is_sweep(result: Result) -> bool:
    return "experiment" not in result.attrs


def _table(claims: Sequence[dict[str, Any]]) -> str:
    if not claims:
        return ""
    head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(map(_row, claims))}</tbody>\n</table>\n"


def _picture(content: bytes, words: str) -> str:
    encoded = base64.b64encode(content).decode("ascii")
    return f'<figure><img src="data:image/png;base64,{encoded}" alt="{words}"></figure>'


def _row(claim: dict[str, Any]) -> str:
    cells = [
        f"{escape(str(claim['statement']))} <code>{escape(str(claim['name']))}</code>",
        escape(str(claim["source"])),
        _value(claim["expected"], claim["measured"]),
        _value(claim["measured"], claim["expected"]),
        _value(claim["tolerance"]),
        _verdict(claim),
        _control(claim["control"]),
    ]
    filled = "".join(f'<td data-label="{column}">{cell}</td>' for column, cell in zip(COLUMNS, cells, strict=True))
    return f"<tr>{filled}</tr>\n"


def _verdict(claim: dict[str, Any]) -> str:
    verdict = _verdict_of(claim)
    if verdict is None:
        return '<span class="verdict">not applicable</span>'
    if verdict:
        return '<span class="verdict holds">✓ holds</span>'
    words = "its control did not fail" if claim["holds"] else "does not hold"
    return f'<span class="verdict fails">✗ {words}</span>'


def _control(control: dict[str, Any] | None) -> str:
    if control is None:
        return "none"
    verdict = "fails, as it must" if control["fails"] else "✗ does not fail, but must"
    return f"{escape(str(control['what']))}: measured {_value(control['measured'])}; {verdict}"


def readable(value: object, beside: object = None) -> str:
    """Write a stored value for people: six digits are enough, or as many as show how far it is from another.

    Parameters
    ----------
    value : float, int, bool or str
        A value of ``claims.json``.
    beside : float, int, bool or str, optional
        The value it stands beside, which is written with as many digits when this one is beside it: of what is
        written the difference is that of the values, to a tenth of it.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> readable(1.23456789e-7), readable("inf"), readable(3)
    ('1.23457e-07', 'inf', '3')
    >>> readable(1.00000000123, beside=1.0)
    '1.0000000012'
    >>> readable(230361.4983, beside=230361.5007), readable(230361.5007, beside=230361.4983)
    ('230361.4983', '230361.5007')
    """
    if not isinstance(value, float):
        return str(value)
    if not isinstance(beside, float | int) or not math.isfinite(value - beside):
        return f"{value:.6g}"
    return next(text for digits in range(6, 18) if (text := _if_told(value, float(beside), digits)) is not None)


def _if_told(value: float, beside: float, digits: int) -> str | None:
    """Write a value with so many digits, if the difference from another is seen in them."""
    text, other = f"{value:.{digits}g}", f"{beside:.{digits}g}"
    apart = value - beside
    return text if digits == 17 or abs(float(text) - float(other) - apart) <= 0.1 * abs(apart) else None


def _value(value: object, beside: object = None) -> str:
    text = readable(value, beside)
    return escape(WORDS.get(text, text))


def _details(attrs: dict[str, Any]) -> str:
    """Fold settings and versions away: every attribute but the words already shown."""
    shown = {key: value for key, value in attrs.items() if key not in ("title", "question")}
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{_attribute(key, value)}</td></tr>\n'
        for key, value in shown.items()
    )
    return (
        f"<details><summary>Settings and versions</summary>\n<table>\n<tbody>\n{rows}</tbody>\n</table>\n</details>\n"
    )


def _attribute(key: str, value: object) -> str:
    if key == "settings":
        try:
            value = json.dumps(json.loads(str(value)), indent=2, ensure_ascii=False)
        except ValueError:
            pass  # shown as it stands
        return f"<pre>{escape(str(value))}</pre>"
    return escape(str(value))

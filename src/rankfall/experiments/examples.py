"""Declarations that come with the package, to copy and change."""

from importlib import resources

from .. import _checks

EXAMPLES = ("scales", "depth", "perturbation", "tensor")


def example(name: str) -> str:
    """Return the text of a declaration that comes with the package.

    Parameters
    ----------
    name : str
        One of ``rankfall.experiments.EXAMPLES``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.experiments.example("depth").splitlines()[1]
    'name = "depth"'
    """
    _checks.one_of("name", name, EXAMPLES)
    return resources.files(__package__).joinpath("declarations", f"{name}.toml").read_text(encoding="utf-8")

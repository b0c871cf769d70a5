import inspect
import re

import pytest

from rankfall import theory

FUNCTIONS = [name for name in theory.__all__ if inspect.isfunction(getattr(theory, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstring_is_complete_and_names_the_arguments(name):
    function = getattr(theory, name)
    doc = inspect.getdoc(function)
    for section in ("Parameters", "Returns", "Raises", "References", "Examples"):
        assert re.search(rf"^{section}\n-+$", doc, re.MULTILINE), section
    block = doc.split("Parameters\n----------\n")[1].split("\n\nReturns")[0]
    documented = [arg for line in re.findall(r"^(\w.*?) :", block, re.MULTILINE) for arg in line.split(", ")]
    assert documented == list(inspect.signature(function).parameters)

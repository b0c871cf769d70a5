import contextlib

import pytest

from rankfall._execution import for_few_calls


@pytest.fixture(autouse=True)
def few_calls(request):
    """Nearly every test here compiles a flow of its own and runs it once; the experiments run them optimised.

    Tests of rounding itself are marked ``optimised``, and run what users run.
    """
    with contextlib.nullcontext() if request.node.get_closest_marker("optimised") else for_few_calls():
        yield

"""What holds for all tests."""

import pytest

from rankfall._execution import make_room

# Scripts that tests run in a process of their own.
collect_ignore = ["bad_input.py", "wrong_kinds.py"]


@pytest.fixture(autouse=True, scope="module")
def room_for_compiled_code():
    """What tests compile by themselves counts too."""
    yield
    make_room()

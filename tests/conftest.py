"""What holds for all tests."""

import signal

import pytest

from rankfall._execution import make_room

# A shell starts what runs in its background deaf to Ctrl-C, which some tests press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Scripts that tests run in a process of their own.
collect_ignore = ["bad_input.py", "wrong_kinds.py"]


@pytest.fixture(autouse=True, scope="module")
def room_for_compiled_code():
    """What tests compile by themselves counts too."""
    yield
    make_room()

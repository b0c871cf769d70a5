"""Scripts that tests run in a process of their own are not looked through for tests."""

collect_ignore = ["bad_input.py", "wrong_kinds.py"]

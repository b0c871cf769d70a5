"""Counts plain ``Any`` among the annotated arguments of the package, by folder; fails beyond the share allowed."""

import ast
import collections
import pathlib
import sys

ALLOWED = 0.08
SOURCE = pathlib.Path(__file__).parents[1] / "src" / "rankfall"


def arguments(tree):
    """Yield all annotated arguments of the functions of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
                if argument is not None and argument.annotation is not None:
                    yield argument


def main():
    """Print the table, and say whether the share is kept."""
    plain, every = collections.Counter(), collections.Counter()
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0]
        for argument in arguments(ast.parse(path.read_text())):
            every[room] += 1
            plain[room] += isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Any"
    share = sum(plain.values()) / sum(every.values())
    if "-v" in sys.argv or share > ALLOWED:
        for room in sorted(every, key=lambda room: -plain[room]):
            print(f"{room:20} {plain[room]:4} of {every[room]:4} ({plain[room] / every[room]:.0%})")
    print(f"plain Any: {sum(plain.values())} of {sum(every.values())} annotated arguments, {share:.1%}")
    return int(share > ALLOWED)


sys.exit(main())

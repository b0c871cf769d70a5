"""Every public docstring against the signature it documents: a name that does not exist, or one left out, is an error.

Options that are passed on (``**options``) are documented under that name; everything else by its own.
"""

import importlib
import inspect
import re

import pytest

import rankfall

MODULES = ("measures", "measures.spectrum", "problems", "factorizations", "dynamics", "theory", "experiments", "plots",
           "report", "cli")  # fmt: skip
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def sections(doc):
    """Split a docstring of NumPy sections into a dictionary of their texts."""
    found = list(SECTION.finditer(doc))
    ends = [match.start() for match in found[1:]] + [len(doc)] * bool(found)
    return {match[1]: doc[match.end() : end] for match, end in zip(found, ends, strict=True)}


def documented(text):
    """Names at the left margin of a Parameters section, ``a, b : type`` being two."""
    lines = [line.split(" :")[0] for line in text.splitlines() if line and not line.startswith(" ")]
    return [name.strip() for line in lines for name in line.split(",")]


def expected(signature):
    """Parameter names of a signature as they are documented."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(p.kind, "") + p.name for p in signature.parameters.values() if p.name not in ("self", "cls")]


def faults(doc, signature, raises):
    """Say what is wrong with a docstring."""
    parts, names = sections(doc), expected(signature)
    listed = documented(parts.get("Parameters", ""))
    wrong = [f"documents {name!r}, which is no parameter" for name in listed if name not in names]
    wrong += [f"leaves out {name!r}" for name in names if name not in listed]
    wanted = (["Returns"] if signature.return_annotation not in (None, "None", inspect.Signature.empty) else []) + [
        "Examples"
    ]
    wanted += ["Raises"] if raises else []
    return wrong + [f"has no section {name!r}" for name in wanted if name not in parts]


def public():
    """Every public function, and every public class with its own public methods, by full name."""
    found = {}
    for module in (rankfall, *(importlib.import_module(f"rankfall.{name}") for name in MODULES)):
        for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            thing = getattr(module, name)
            if getattr(thing, "__module__", "").startswith("rankfall"):
                found[f"{thing.__module__}.{getattr(thing, '__qualname__', name)}"] = thing
    return found


def functions():
    """What has a signature to compare: functions and methods; classes are told apart in `CLASSES`."""
    for name, thing in public().items():
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing):
            for own, member in vars(thing).items():
                method = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                if inspect.isfunction(method) and not own.startswith("_"):
                    yield f"{name}.{own}", method


FUNCTIONS = dict(functions())
CLASSES = {name: thing for name, thing in public().items() if inspect.isclass(thing)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    function = inspect.unwrap(FUNCTIONS[name])
    doc, signature = inspect.getdoc(function), inspect.signature(function)
    # What takes nothing, or is a method of one argument, may be explained in a line.
    method = "." in function.__qualname__
    if not sections(doc) and len(expected(signature)) <= method:
        return
    assert faults(doc, signature, "raise ValueError" in inspect.getsource(function)) == []


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.startswith("rankfall.theory.")])
def test_theory_says_where_it_is_from_and_what_it_refuses(name):
    if "." not in FUNCTIONS[name].__qualname__:
        assert {"Raises", "References"} <= set(sections(inspect.getdoc(FUNCTIONS[name])))


@pytest.mark.parametrize("name", CLASSES)
def test_class(name):
    thing = CLASSES[name]
    parts = sections(inspect.getdoc(thing))
    if "Parameters" in parts:
        own = inspect.signature(thing)
        assert sorted(documented(parts["Parameters"])) == sorted(expected(own))
    elif "Attributes" in parts:
        known = {*dir(thing), *getattr(thing, "__dataclass_fields__", {})}
        assert set(documented(parts["Attributes"])) <= known
    else:
        assert inspect.getdoc(thing)


def test_faults_are_found():
    def good(a, *, b=1, **options):
        pass

    text = "One line.\n\nParameters\n----------\n{}\n\nExamples\n--------\n>>> 1\n1\n"
    signature = inspect.signature(good)
    assert faults(text.format("a : int\n    Text, with a comma.\nb : int\n**options"), signature, False) == []
    assert faults(text.format("a, b : int\n**options"), signature, False) == []
    assert faults(text.format("a : int\nc : int\n**options"), signature, False) == [
        "documents 'c', which is no parameter",
        "leaves out 'b'",
    ]
    assert faults(text.format("a, b, **options"), signature, True) == ["has no section 'Raises'"]
    assert len(FUNCTIONS) > 60 and len(CLASSES) > 10

"""Every public docstring against the signature it documents: a name that does not exist, or one left out, is an error.

The rules: parameters stand under their own names and in their order. Options that are handed on (``**options``) stand
under that name, and there all options of the function they go to, or a word where they are explained (``As in ...``).
What refuses wrong input, itself or through a function of the package that it calls, says so under Raises; what refuses
nothing needs no such section, and what has no source no References. A class that checks what it is made of documents
its parameters, any other its fields. A line is enough for a property, for a method of one argument that refuses
nothing, and for one whose base class explains it.
"""

import importlib
import inspect
import re
import types

import pytest

import rankfall

MODULES = ("measures", "measures.spectrum", "problems", "factorizations", "networks", "datasets", "dynamics", "claims",
           "theory", "references", "statements", "experiments", "talk", "report", "cli")  # fmt: skip
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
# Where the options go that a function hands on.
TARGETS = {
    "rankfall.experiments.cell.Cell.train": rankfall.train,
    "rankfall.problems.completion.MatrixCompletion.from_dense": rankfall.MatrixCompletion.from_coo,
    "rankfall.problems.completion.MatrixCompletion.from_sparse": rankfall.MatrixCompletion.from_coo,
    "rankfall.problems.completion.MatrixCompletion.from_mask": rankfall.MatrixCompletion.from_coo,
    "rankfall.datasets.movielens.read_movielens": rankfall.MatrixCompletion.from_coo,
    "rankfall.problems.tensor.TensorCompletion.from_dense": rankfall.TensorCompletion.from_coo,
}
# What is written where there is nothing to say.
FILLER = re.compile(r"\b(Never|Nothing|Facts? of|[Tt]extbook)\b")


def sections(doc):
    """Split a docstring of NumPy sections into a dictionary of their texts."""
    found = list(SECTION.finditer(doc))
    ends = [match.start() for match in found[1:]] + [len(doc)] * bool(found)
    return {match[1]: doc[match.end() : end] for match, end in zip(found, ends, strict=True)}


def entries(text):
    """Names at the left margin of a section, ``a, b : type`` being two, each with its line and what stands below it."""
    found, line = {}, ""
    for row in text.splitlines():
        if row and not row.startswith(" "):
            line, names = row, [name.strip() for name in row.split(" :")[0].split(",")]
            found |= dict.fromkeys(names, row)
        elif line:
            found |= {name: found[name] + "\n" + row for name in names}
    return found


def expected(signature):
    """Parameter names of a signature as they are documented."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(p.kind, "") + p.name for p in signature.parameters.values() if p.name not in ("self", "cls")]


def faults(doc, signature, raises, target=None):
    """Say what is wrong with a docstring."""
    parts, names = sections(doc), expected(signature)
    listed = entries(parts.get("Parameters", ""))
    wrong = [f"documents {name!r}, which is no parameter" for name in listed if name not in names]
    wrong += [f"leaves out {name!r}" for name in names if name not in listed]
    if not wrong and list(listed) != names:
        wrong += ["documents the parameters in another order"]
    if target is not None:
        wrong += option_faults(listed.get("**options", ""), signature, target)
    wanted = (["Returns"] if signature.return_annotation not in (None, "None", inspect.Signature.empty) else []) + [
        "Examples"
    ]
    wanted += ["Raises"] if raises else []
    return wrong + [f"has no section {name!r}" for name in wanted if name not in parts] + shape_faults(parts)


def option_faults(text, signature, target):
    """Say which options of the target are not named, or named and no options."""
    options = inspect.signature(target).parameters.values()
    names = {p.name for p in options if p.kind is p.KEYWORD_ONLY} - set(signature.parameters)
    named = set(re.findall(r"``(\w+)``", text))
    if not named and f"As in `{target.__name__}`" in text:
        return []
    return [f"leaves out the option {name!r}" for name in sorted(names - named)] + [
        f"documents {name!r}, which is no option" for name in sorted(named - names)
    ]


def shape_faults(parts):
    """Say which arrays have no shape; what is broadcast may say so once, with the result."""
    if "broadcast" in parts.get("Returns", ""):
        return []
    arrays = {
        line.splitlines()[0]
        for part in ("Parameters", "Returns", "Attributes")
        for line in entries(parts.get(part, "")).values()
    }
    return [
        f"gives no shape in {row!r}" for row in sorted(arrays) if re.search(r"\b(nd)?array", row) and "shape" not in row
    ]


def public():
    """Every public function, and every public class with its own public methods, by full name."""
    found = {}
    for module in (rankfall, *(importlib.import_module(f"rankfall.{name}") for name in MODULES)):
        for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            thing = getattr(module, name)
            if getattr(thing, "__module__", "").startswith("rankfall"):
                found[f"{thing.__module__}.{getattr(thing, '__qualname__', name)}"] = thing
    return found


def members(thing):
    """Public functions and properties that a class defines itself, by name."""
    for name, member in vars(thing).items():
        member = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            yield name, member


def functions():
    """What has a signature to compare: functions and methods; classes are told apart in `CLASSES`."""
    for name, thing in public().items():
        if inspect.isfunction(thing):
            yield name, (thing, None)
        elif inspect.isclass(thing):
            yield from ((f"{name}.{own}", (m, thing)) for own, m in members(thing) if inspect.isfunction(m))


FUNCTIONS = dict(functions())
CLASSES = {name: thing for name, thing in public().items() if inspect.isclass(thing)}
PROPERTIES = {
    f"{name}.{own}": member
    for name, thing in CLASSES.items()
    for own, member in members(thing)
    if isinstance(member, property)
}


def ours(thing):
    return str(getattr(thing, "__module__", None) or "").startswith("rankfall")


def codes(code):
    """Code of a function and of what is defined inside it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from codes(inner)


def refuses(function, owner=None, seen=None):
    """Whether a function raises ValueError, itself or through what it calls by name in this package."""
    seen = set() if seen is None else seen
    function = inspect.unwrap(function)
    if function in seen:
        return False
    seen.add(function)
    if "raise ValueError" in inspect.getsource(function):
        return True
    names = {name for code in codes(function.__code__) for name in code.co_names}
    called = [function.__globals__[name] for name in names if name in function.__globals__]
    modules = [thing for thing in called if inspect.ismodule(thing) and thing.__name__.startswith("rankfall")]
    called += [getattr(module, name) for module in modules for name in names if hasattr(module, name)]
    called += [vars(base)[name] for base in inspect.getmro(owner or object) for name in names if name in vars(base)]
    called = [makers(thing) if inspect.isclass(thing) else [thing] for thing in called if ours(thing)]
    found = [inspect.unwrap(f) for some in called for f in some if inspect.isfunction(f)]
    # Those that dataclasses generate have no source.
    written = [f for f in found if f.__code__.co_filename.endswith(".py")]
    return any(refuses(f, owner, seen) for f in written)


def makers(thing):
    """Functions of this package that make an object of a class."""
    bases = inspect.getmro(thing)
    own = (vars(base).get(name) for name in ("__init__", "__post_init__") for base in bases)
    # Those of dataclasses are generated, and have no source.
    own = [inspect.unwrap(function) for function in own if inspect.isfunction(function)]
    return [function for function in own if function.__code__.co_filename.endswith(".py") and ours(function)]


def explained_by_base(name, owner):
    """Whether a base class documents a method in sections."""
    bases = [base for base in inspect.getmro(owner)[1:] if name in vars(base) and ours(base)]
    return any(sections(inspect.getdoc(vars(base)[name]) or "") for base in bases)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    function, owner = FUNCTIONS[name]
    doc, signature = inspect.getdoc(function), inspect.signature(inspect.unwrap(function))
    assert doc
    raises = refuses(function, owner)
    if not sections(doc):
        if owner is not None and explained_by_base(function.__name__, owner):
            return
        if owner is not None and len(expected(signature)) <= (not raises):
            return
    target = TARGETS[name] if "**options" in expected(signature) else None
    assert faults(doc, signature, raises, target) == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_filler(name):
    """A function that refuses nothing has no section that says so, and one without a source names none."""
    parts = sections(inspect.getdoc(FUNCTIONS[name][0]))
    assert not FILLER.search(parts.get("Raises", "") + parts.get("References", ""))


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    assert inspect.getdoc(PROPERTIES[name])


def class_faults(thing):
    """Say what is wrong with the docstring of a class."""
    parts = sections(inspect.getdoc(thing) or "")
    if any(refuses(function, thing) for function in makers(thing)):
        return faults(inspect.getdoc(thing), inspect.signature(thing.__init__), True)
    fields = {name for base in inspect.getmro(thing) if ours(base) for name in inspect.get_annotations(base)}
    fields = {name for name in fields if not name.startswith("_")}
    listed = set(entries(parts.get("Attributes", "")))
    wrong = [f"leaves out {name!r}" for name in sorted(fields - listed)]
    return wrong + [f"documents {name!r}, which is no field" for name in sorted(listed - fields)] + shape_faults(parts)


# What an experiment is made of, CONTRIBUTING.md tells by an example.
@pytest.mark.parametrize("name", [name for name in CLASSES if not name.startswith("rankfall.experiments.")])
def test_class(name):
    assert inspect.getdoc(CLASSES[name])
    assert class_faults(CLASSES[name]) == []


TEXT = "One line.\n\nParameters\n----------\n{}\n\nExamples\n--------\n>>> 1\n1\n"


def test_faults_are_found():
    def good(a, *, b=1, **options):
        pass

    def target(c, *, b=1, d=2, e=3):
        pass

    signature = inspect.signature(good)
    assert faults(TEXT.format("a : int\n    Text, with a comma.\nb : int\n**options"), signature, False) == []
    assert faults(TEXT.format("a, b : int\n**options"), signature, False) == []
    assert faults(TEXT.format("a : int\nc : int\n**options"), signature, False) == [
        "documents 'c', which is no parameter",
        "leaves out 'b'",
    ]
    assert faults(TEXT.format("b, a, **options"), signature, False) == ["documents the parameters in another order"]
    assert faults(TEXT.format("a, b, **options"), signature, True) == ["has no section 'Raises'"]
    assert faults(TEXT.format("a : array, shape (n,)\nb : array\n**options"), signature, False) == [
        "gives no shape in 'b : array'"
    ]
    assert faults(TEXT.format("a, b : int\n**options\n    ``d`` and ``e``."), signature, False, target) == []
    assert faults(TEXT.format("a, b : int\n**options\n    As in `target`."), signature, False, target) == []
    assert faults(TEXT.format("a, b : int\n**options\n    ``d`` and ``c``."), signature, False, target) == [
        "leaves out the option 'e'",
        "documents 'c', which is no option",
    ]
    assert len(FUNCTIONS) > 60 and len(CLASSES) > 10 and len(PROPERTIES) > 10


def test_faults_of_classes_are_found():
    class Fields:
        """One line.

        Attributes
        ----------
        a : array
        c : int
        """

        a: int
        b: int

    class Checks:
        """One line.

        Parameters
        ----------
        b : int
        """

        def __init__(self, a):
            raise ValueError("a is wrong")

    Fields.__module__ = Checks.__module__ = Checks.__init__.__module__ = "rankfall"
    assert class_faults(Fields) == [
        "leaves out 'b'",
        "documents 'c', which is no field",
        "gives no shape in 'a : array'",
    ]
    assert class_faults(Checks) == [
        "documents 'b', which is no parameter",
        "leaves out 'a'",
        "has no section 'Examples'",
        "has no section 'Raises'",
    ]


def test_filler_is_found():
    assert FILLER.search("\nValueError\n    Never, of itself.\n") and FILLER.search("\nFacts of linear algebra.\n")
    assert not FILLER.search("\nValueError\n    If none is given, or a number is never reached.\n")


def test_a_refusal_is_found_through_what_is_called():
    measures = rankfall.measures
    assert refuses(measures.nuclear_norm) and refuses(measures.unbalancedness)
    assert refuses(rankfall.MatrixCompletion.residuals, rankfall.MatrixCompletion)
    assert not refuses(rankfall.report.page.readable)

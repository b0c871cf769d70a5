"""What a file may say, how files are laid over each other, and the sentence for everything else."""

import inspect
import tomllib

import numpy as np
import pytest

import rankfall as rf
from rankfall._declared import MAKERS
from rankfall.experiments import layers
from rankfall.experiments.schema import schema
from small_sweeps import declared


def refused(**tables):
    with pytest.raises(ValueError) as error:
        rf.Sweep(**declared(**tables))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", rf.experiments.EXAMPLES)
def test_every_shipped_file_is_read_and_written_back(name, tmp_path):
    path = tmp_path / f"{name}.toml"
    path.write_text(rf.experiments.example(name))
    sweep = rf.Sweep.from_toml(path)
    path.write_text(sweep.to_toml())
    again = rf.Sweep.from_toml(path)
    assert again.to_toml() == sweep.to_toml()
    assert [cell.name for cell in again.cells()] == [cell.name for cell in sweep.cells()]
    assert len(sweep.cells()) == np.prod(sweep.shape) and sweep.name == name
    assert sweep.figures


def test_cells_are_the_product_of_what_is_swept():
    sweep = rf.Sweep(**declared(seeds=[3, 5], sweep={
        "stop.loss": {"geomspace": [1e-1, 1e-3, 3]},
        "pairs": {"problem.eps": [0.0, 0.5], "dynamics.step_size": [0.1, 0.2]},
    }) | {"dynamics": {"name": "gradient-descent"}, "stop": {}})  # fmt: skip
    assert sweep.shape == (3, 2, 2)
    found = [(c.settings["stop"]["loss"], c.settings["problem"]["eps"], c.settings["dynamics"]["step_size"], c.seed)
             for c in sweep.cells()]  # fmt: skip
    pairs = [(0.0, 0.1), (0.5, 0.2)]
    assert found == [(loss, *pair, seed) for loss in (1e-1, 1e-2, 1e-3) for pair in pairs for seed in (3, 5)]


def test_the_name_of_a_run_is_of_what_it_is_and_not_of_how_it_is_written():
    def names(**tables):
        return [cell.name for cell in rf.Sweep(**declared(**tables)).cells()]

    plain = names()
    assert names(stop={"loss": 0.1, "steps": None}, record={"at_losses": np.array([0.4, 0.2])}) == plain
    assert names(problem={"name": "two-by-two", "eps": 0, "position": [0, 0]}) == plain
    assert names(seeds=[1, 0]) == plain[::-1]
    others = [names(stop={"loss": 0.11}), names(problem={"name": "two-by-two", "eps": 0.1}), names(record={})]
    assert len({name for one in (plain, *others) for name in one}) == 8


def test_a_file_of_data_counts_by_its_content(tmp_path):
    first, other, changed = (tmp_path / name for name in ("first.csv", "other.csv", "changed.csv"))
    first.write_text(",1\n1,0\n")
    other.write_text(",1\n1,0\n")
    changed.write_text(",1\n1,0.5\n")
    one, two, three = (
        rf.Sweep(**declared(problem={"file": str(path)}, factorization={"name": "matrix", "depth": 2, "scale": 0.1}))
        for path in (first, other, changed)
    )
    assert one.cells()[0].name == two.cells()[0].name != three.cells()[0].name
    assert one.cells()[0].problem().observed == 3
    # Beside the file that names it, wherever one is.
    (tmp_path / "mine.toml").write_text('problem.file = "first.csv"\n' + one.to_toml().replace(str(first), "first.csv")
                                        .replace('[problem]\nfile = "first.csv"\n', ""))  # fmt: skip
    assert rf.Sweep.from_toml(tmp_path / "mine.toml").cells()[0].name == one.cells()[0].name


def test_later_files_and_settings_count(tmp_path):
    base, more = tmp_path / "base.toml", tmp_path / "more.toml"
    base.write_text(rf.experiments.example("depth"))
    more.write_text("seeds = 2\n[problem]\neps = 0.5\n[sweep]\nfactorization.scale = [0.1, 0.2]\n")
    sweep = rf.Sweep.from_toml(base, more, settings=["stop.loss=0.01", "factorization.kind=gaussian"])
    settings = sweep.cells()[0].settings
    assert sweep.shape == (4, 2, 2) and settings["problem"]["eps"] == 0.5 and settings["stop"]["loss"] == 0.01
    assert settings["factorization"]["kind"] == "gaussian"
    # A later layer fixes what an earlier one sweeps, and the other way round.
    assert rf.Sweep.from_toml(base, settings=["factorization.depth=3", "figure=[]", "claim=[]"]).shape == (5,)
    # Another name begins its table anew.
    flow = rf.Sweep.from_toml(base, settings=["dynamics.name=spectral-flow"]).cells()[0].settings["dynamics"]
    assert flow["name"] == "spectral-flow" and "step_size" not in flow


def test_a_setting_may_sweep(tmp_path):
    base = tmp_path / "base.toml"
    base.write_text(rf.experiments.example("depth"))
    assert rf.Sweep.from_toml(base, settings=["sweep.stop.loss=[0.1, 0.2, 0.3]"]).shape == (4, 3, 5)


@pytest.mark.parametrize(("tables", "words"), [
    ({"factorisation": {}}, "factorisation is no key that is known here: the table takes name, title, plugins, problem, factorization, "
     "dynamics, stop, record, sweep, seeds, figure, claim; 'factorization' is the nearest."),
    ({"problem": {"name": "two_by_two"}}, "[problem] name is 'two_by_two', but must be one of"),
    ({"problem": {"eps": 1.0}}, "[problem] needs a name, one of '"),
    ({"problem": {"name": "two-by-two", "esp": 0.1}}, "[problem] esp is no key that is known here: the table takes z, z_prime, eps, "),
    ({"problem": {"name": "two-by-two", "eps": "small"}}, "[problem] eps is 'small', but must be a number."),
    ({"problem": {"name": "completion", "rank": 1, "observed": 3}}, "[problem] needs shape, a list of integers; add shape = ... to it."),
    ({"problem": {"name": "completion", "shape": [2, "2"], "rank": 1, "observed": 3}}, "[problem] shape is [2, '2'], but must be a list of integers."),
    ({"problem": {"name": "two-by-two", "seed": 1}}, "[problem] seed is no key that is known here"),
    ({"problem": {"name": "completion", "shape": [3, 3], "rank": 1, "observed": 3, "seed": "all"}}, "[problem] seed is 'all', but must be an integer or 'each'."),
    ({"problem": {"file": "none.csv"}}, "[problem] file is 'none.csv', but it cannot be read (No such file or directory)"),
    ({"problem": {"file": "x.csv", "name": "two-by-two"}}, "[problem] file is given beside another problem"),
    ({"factorization": {"name": "matrix", "depth": 2.5}}, "[factorization] depth is 2.5, but must be an integer."),
    ({"factorization": {"name": "matrix", "depth": True}}, "[factorization] depth is True, but must be an integer."),
    ({"factorization": {"name": "matrix", "depth": 2, "det_sign": "needed"}}, "[factorization] det_sign is 'needed', but must be an integer or one of 'required', 'opposite'."),
    ({"dynamics": {"name": "gradient-descent"}}, "[dynamics] needs step_size, a number; add step_size = ... to it."),
    ({"dynamics": {"name": "gradient-descent", "step_size": [0.1]}}, "[dynamics] step_size is [0.1], but must be a number."),
    ({"stop": {"los": 0.1}}, "[stop] los is no key that is known here: the table takes loss, steps, flow_time, seconds; 'loss' is the nearest."),
    ({"record": {"measures": [1]}}, "[record] measures is [1], but must be a list of words."),
    ({"record": {"at_losses": {"geomspace": [1, 0, 3]}}}, "[record] at_losses has geomspace = [1, 0, 3], but must have [first, last, count], "),
    ({"sweep": {"factorization.depth": []}}, "[sweep] factorization.depth is empty"),
    ({"sweep": {"stop.steps": 3}}, "[sweep] stop.steps is 3, but must be a list, or one of"),
    ({"sweep": {"stop.steps": [1, 1]}}, "[sweep] stop.steps holds 1 twice"),
    ({"sweep": {"stop.steps": [1, 2.5]}}, "[stop] steps is 2.5, but must be an integer."),
    ({"sweep": {"stop.steps": {"range": [3, 3]}}}, "[sweep] stop.steps is empty"),
    ({"sweep": {"stop.steps": {"range": [0.5]}}}, "[sweep] stop.steps has range = [0.5], but must have [end], [first, end]"),
    ({"sweep": {"stop.steps": {"linspace": [1, 2]}}}, "[sweep] stop.steps has linspace = [1, 2], but must have [first, last, count]"),
    ({"sweep": {"depth": [1, 2]}}, "[sweep] depth is no key that is known here: the table takes problem.KEY, factorization.KEY"),
    ({"sweep": {"stop": [1, 2]}}, "[sweep] stop is [1, 2], but must name a key of [stop]."),
    ({"sweep": {"stop.loss": [0.1, 0.2]}}, "[sweep] stop.loss is swept, but [stop] loss is given too; leave one of them out."),
    ({"sweep": {"stop.steps": [1, 2], "both": {"stop.steps": [1], "stop.seconds": [1.0]}}}, "[sweep] stop.steps is swept twice"),
    ({"sweep": {"both": {"stop.steps": [1, 2], "stop.seconds": [1.0]}}}, "[sweep] both has columns of several lengths (stop.steps has 2, stop.seconds has 1)"),
    ({"sweep": {"both": {"stop.steps": [1, 1], "stop.seconds": [1.0, 1.0]}}}, "[sweep] both holds [1, 1.0] twice"),
    ({"seeds": 0}, "seeds is 0, but must be a number of seeds of at least 1, or a list."),
    ({"seeds": [1, 1]}, "seeds is [1, 1], but holds a seed twice"),
    ({"seeds": -1}, "seeds is -1"),
    ({"seeds": "many"}, "seeds is 'many', but must be an integer or a list of integers."),
    ({"name": "a/b"}, "name is 'a/b', but must be a word that a file can be called."),
    ({"plugins": ["no.such"]}, "plugins holds 'no.such', which cannot be imported (ModuleNotFoundError: No module named 'no')"),
    ({"figure": [{"x": "loss"}]}, "[[figure]] 1 needs y, a word in quotes; add y = ... to it."),
    ({"figure": [{"x": "lose", "y": "loss"}]}, "[[figure]] 1: x is 'lose', but must be one of"),
    ({"figure": [{"x": "seed", "y": "loss", "bound": "unobserved_lower_bound"}]}, "bound is over the loss, but x is 'seed'"),
    ({"figure": [{"x": "loss", "y": "loss", "bound": "lower_bound"}]}, "bound is 'lower_bound', but must be one of"),
    ({"figure": [{"x": "loss", "y": "loss", "bound": "perturbed_distance_bound"}]}, "bound is 'perturbed_distance_bound' with [], but that takes eps."),
    ({"claim": [{"name": "a", "measure": "loss", "comparison": "below", "value": 1.0}]}, "comparison is 'below', but must be one of 'at_least', 'at_most', 'close_to'."),
])  # fmt: skip
def test_mistakes_are_one_sentence_with_table_key_value_and_what_is_allowed(tables, words):
    assert words in refused(**tables)


def test_a_missing_table_is_named():
    given = declared()
    del given["problem"]
    with pytest.raises(ValueError, match=r"^\[problem\] is missing: a declaration has a table \[problem\]"):
        rf.Sweep(**given)


def test_mistakes_in_files_name_the_file_or_the_setting(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(rf.experiments.example("depth").replace("kind =", "knid ="))
    with pytest.raises(ValueError, match=r"^mine.toml: \[factorization\] knid is no key .* 'kind' is the nearest"):
        rf.Sweep.from_toml(path)
    path.write_text(rf.experiments.example("depth"))
    with pytest.raises(ValueError, match=r"^--set stop.loss=low: \[stop\] loss is 'low', but must be a number."):
        rf.Sweep.from_toml(path, settings=["stop.loss=low"])
    with pytest.raises(ValueError, match="^set is 'stop.loss', but must be KEY=VALUE"):
        rf.Sweep.from_toml(path, settings=["stop.loss"])
    path.write_text("seeds = \n")
    with pytest.raises(ValueError, match="but it is no TOML"):
        rf.Sweep.from_toml(path)
    with pytest.raises(ValueError, match="cannot be read"):
        rf.Sweep.from_toml(tmp_path / "none.toml")
    with pytest.raises(ValueError, match="at least one file"):
        rf.Sweep.from_toml()


@pytest.mark.parametrize(("tables", "words"), [
    ({"factorization": {"name": "matrix", "depth": 0, "scale": 0.1}}, "[factorization] depth is 0, but must be an integer of at least 1."),
    ({"factorization": {"name": "matrix", "depth": 2}}, "[factorization] scale is None and factor_std is None"),
    ({"stop": {"loss": -1.0}}, "[stop] loss is -1.0, but must be positive"),
    ({"record": {"measures": ["nucleer"]}}, "[record] measures holds 'nucleer'"),
    ({"dynamics": {"name": "mirror-descent", "step_size": 0.1, "potential": "hypentropy"}}, "[dynamics] beta is None, but"),
    ({"problem": {"name": "two-by-two", "z": 0.0}}, "[problem] z is 0, but must be non-zero"),
])  # fmt: skip
def test_values_that_make_nothing_are_refused_before_anything_is_trained(tables, words):
    with pytest.raises(ValueError) as error:
        rf.Sweep(**declared(**tables)).plan()
    assert str(error.value).startswith(words)


def test_a_million_runs_are_asked_about(tmp_path):
    sweep = rf.Sweep(**declared(seeds=500_000, sweep={"problem.eps": [0.0, 0.1]}))
    with pytest.raises(ValueError, match=r"1,000,000 runs: 2 \(problem.eps\) x 500000 seeds; .* Say --yes"):
        sweep.run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_name_has_parameters_that_its_maker_takes():
    """What a declaration offers is what the signature says, whatever the annotation."""
    for kind in ("problem", "factorization", "dynamics"):
        for maker in MAKERS[kind].values():
            fields = rf.experiments.registry.fields_of(maker).model_fields
            assert set(fields) <= set(inspect.signature(maker.make).parameters)
            assert maker.lanes <= set(fields) | {"key"}


def test_toml_reads_back():
    tables = {
        "a": 1,
        "b": [1.5, float("inf")],
        "c d": 'x "y"\n',
        "t": {"k.l": True, "m": {"range": [3]}},
        "f": [{"x": []}],
    }
    assert tomllib.loads(layers.to_toml(tables)) == tables


def test_a_plugin_adds_its_own(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(inspect.cleandoc('''
        import jax.numpy as jnp
        import rankfall as rf

        @rf.experiments.declared("problem", "my-corner")
        def corner(value: float = 2.0):
            return rf.MatrixCompletion.from_dense([[float("nan"), value], [value, 0.0]])

        @rf.experiments.declared("measure", "my_corner_entry")
        def my_corner_entry(matrix):
            return jnp.abs(matrix[0, 0])
    '''))  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        sweep = rf.Sweep(**declared(plugins=["my_models"], seeds=1, problem={"name": "my-corner"},
                                    record={"measures": ["my_corner_entry"]}, stop={"steps": 3}))  # fmt: skip
        results = sweep.run(tmp_path / "out", progress=False)
        assert np.allclose(results["my_corner_entry"], abs(results["unobserved"].isel(entry=0)))
        assert any(v["properties"]["name"] == {"const": "my-corner"}
                   for v in schema()["properties"]["problem"]["anyOf"] if "name" in v["properties"])  # fmt: skip
    finally:
        MAKERS["problem"].pop("my-corner")
        MAKERS["measure"].pop("my_corner_entry")

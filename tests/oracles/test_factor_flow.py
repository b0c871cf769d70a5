"""The table of `factor_flow.py`: one short trajectory of it again, and values that were computed by other means."""

import importlib.util
import json
import sys
from fractions import Fraction
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("factor_flow.py")


@pytest.fixture(scope="module")
def oracle():
    specification = importlib.util.spec_from_file_location("factor_flow_oracle", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


@pytest.fixture(scope="module")
def records():
    table = json.loads(SCRIPT.with_suffix(".json").read_text())
    return {(one["depth"], one["scale"], one["start"], one["loss"]): one for one in table["records"]}


def test_a_short_trajectory_gives_its_records_again(oracle, records):
    losses = ("0.5", "0.1")
    start = oracle.scaled_start("general", "1e-2")
    again = oracle.trajectory(3, start, losses, oracle.TABLE_SCHEMES[0])
    for loss, values in zip(losses, again, strict=True):
        record = records[3, "1e-2", "general", loss]
        assert record["M"] == [["0.6", "-0.2"], ["0.5", "0.9"]]
        for key in oracle.VALUES:
            assert abs(values[key] / oracle.mp.mpf(record[key]) - 1) < 1e-25, (loss, key)


@pytest.mark.parametrize(
    ("scale", "time", "expected"),
    [
        ("1", 1, (1.42677018832, 0.697986621694, 0.528764445537)),
        ("1", 10, (3.27095315296, 0.929284067377, 0.264203780726)),
    ],
)
def test_depth_two_from_a_multiple_of_the_identity(oracle, scale, time, expected):
    start = [[Fraction(scale), Fraction(0)], [Fraction(0), Fraction(scale)]]
    (values,) = oracle.at_times(2, start, [time], oracle.TABLE_SCHEMES[0])
    found = [float(values[key]) for key in ("w11", "w12", "w22")]
    assert found == pytest.approx(expected, rel=1e-11) and values["w12"] == values["w21"]


def test_the_integrated_determinant_of_depth_two_is_that_of_the_factors(oracle):
    flow = oracle.Flow(2, oracle.TABLE_SCHEMES[0])
    for now, _, _ in flow.steps(oracle.begin(flow, oracle.scaled_start("general", "1e-2"))):
        if flow.loss(now.state) < flow.fixed("0.1"):
            break
    assert abs(flow.real(now.log_det) - flow.log_det_of_layers(now.state)) < 1e-45


def test_every_record_is_there_solves_its_loss_and_keeps_what_the_flow_conserves(oracle, records):
    names = [(d, scale, start) for d in oracle.DEPTHS for scale in oracle.SCALES for start in oracle.STARTS]
    expected = {(*name, loss) for name in names for loss in oracle.LOSSES if loss != oracle.COSTLY}
    assert records.keys() == expected | {(*name, oracle.COSTLY) for name in oracle.COSTLY_FOR}
    for name, record in records.items():
        w12, w21, w22 = (oracle.mp.mpf(record[key]) for key in ("w12", "w21", "w22"))
        loss = ((w12 - 1) ** 2 + (w21 - 1) ** 2 + w22**2) / 2
        assert abs(loss / oracle.mp.mpf(record["loss"]) - 1) < 1e-25, name
        determinant = oracle.mp.mpf(record["w11"]) * w22 - w12 * w21
        assert abs(determinant - oracle.mp.exp(oracle.mp.mpf(record["log_det"]))) < 1e-27, name
        assert float(record["conserved_error"]) < 1e-50 and float(record["energy_error"]) < 1e-50, name


def test_near_its_limit_depth_two_has_forgotten_where_it_began(oracle, records):
    for key in ("w11", "w12", "w22"):
        assert len({records[2, scale, start, "1e-3"][key] for scale in oracle.SCALES for start in oracle.STARTS}) == 1

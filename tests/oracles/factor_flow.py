"""Gradient flow on the factors of a deep matrix factorization, to 40 digits: an oracle for the package's flows.

The problem is the completion of [[*, 1], [1, 0]]: loss(W) = ((w12 - 1)^2 + (w21 - 1)^2 + w22^2) / 2 with
W = W_L ... W_1, all 2x2, and W_j' = -(W_L ... W_{j+1})^T G (W_{j-1} ... W_1)^T with G the gradient at W. The start is
balanced. Nothing of the package is imported and none of its methods is shared: the factors themselves are integrated by
their Taylor series, of order up to 80, in fixed-point arithmetic on Python's integers.

    python tests/oracles/factor_flow.py --write     write the table beside this file
    python tests/oracles/factor_flow.py --check     integrate all of it again at other orders and precision, and compare

The first takes half an hour, with `--until 1e-3` four minutes: near its end the flow is stiff and the steps are short.

At depth 2 the balanced flow is unstable. As det W falls, about as exp(-w11^2 / 2), the second singular values a and b
of the two factors move by a' = -g b and b' = -g a: equal, they run into a saddle, and a rounding error of a - b leaves
it, growing as exp(w11^2 / 4): by 54 digits until the loss is 1e-3, by 530 until it is 1e-4. Then det W is negative
and W is on another path, and no conserved quantity shows it. Hence the digits of `UNSTABLE`; and at 1e-4 depth 2 is
there from the symmetric start only, from which W_2 is W_1^T to the last bit. Deeper factors lose no more digits than
det W does.
"""

from __future__ import annotations

import argparse
import json
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import log2
from operator import mul
from pathlib import Path
from typing import Any

import mpmath
from mpmath import mpf

mp = mpmath.mp.clone()  # of a precision of its own, beyond that of any scheme
mp.prec = 1024

TABLE = Path(__file__).with_suffix(".json")
COMMAND = "python tests/oracles/factor_flow.py --write"

STARTS = {"symmetric": (("0.6", "0.2"), ("0.2", "0.9")), "general": (("0.6", "-0.2"), ("0.5", "0.9"))}
DEPTHS = (2, 3, 4, 8)
SCALES = ("1e-2", "1e-6")
LOSSES = ("0.5", "0.1", "1e-2", "1e-3", "1e-4")
COSTLY = "1e-4"  # minutes each: for one trajectory of each depth only
COSTLY_FOR = {(2, "1e-2", "symmetric"), (3, "1e-2", "general"), (4, "1e-2", "general"), (8, "1e-2", "general")}
VALUES = ("time", "w11", "w12", "w21", "w22", "log_det")
PROBLEM = (
    "completion of [[*, 1], [1, 0]]; factors balanced at time 0, their product scale * M; log_det = log det(product)"
)

State = list[int]  # the entries of W_1, then those of W_2, ..., each row by row
Series = list[int]  # coefficients of powers of the time in units of the step
Block = list[Series]  # the four entries of a 2x2 matrix, row by row


@dataclass(frozen=True)
class Scheme:
    """Precision, and orders of the Taylor series."""

    bits: int  # every number is an integer times 2^-bits
    tolerance: str  # of the last terms of a step
    highest_order: int
    lowest_order: int = 8


UNSTABLE = (2, "general")  # depth and start of the trajectories that need the second scheme of each pair
TABLE_SCHEMES = (Scheme(256, "1e-58", highest_order=50), Scheme(448, "1e-110", highest_order=80))
CHECK_SCHEMES = (Scheme(320, "1e-64", 40, lowest_order=10), Scheme(512, "1e-116", 70, lowest_order=10))


@dataclass(frozen=True)
class Moment:
    """Where the flow is: time, factors, and the integrals of |gradient|^2 and (at depth 2) of d/dt log det W."""

    time: int
    state: State
    energy: int
    log_det: int


def convolve(first: Series, second: Series) -> int:
    """The last coefficient of the product of two series of equal length, not yet shifted back."""
    return sum(map(mul, first, second[::-1]))


def append_product(out: Block, first: Block, second: Block, bits: int) -> None:
    """Append to each entry of `out` the next coefficient of the matrix product of two blocks."""
    a, b, c, d = first
    e, f, g, h = (entry[::-1] for entry in second)
    out[0].append((sum(map(mul, a, e)) + sum(map(mul, b, g))) >> bits)
    out[1].append((sum(map(mul, a, f)) + sum(map(mul, b, h))) >> bits)
    out[2].append((sum(map(mul, c, e)) + sum(map(mul, d, g))) >> bits)
    out[3].append((sum(map(mul, c, f)) + sum(map(mul, d, h))) >> bits)


def transposed(block: Block) -> Block:
    """The transpose, sharing its series."""
    return [block[0], block[2], block[1], block[3]]


def empty_block() -> Block:
    """Four series without coefficients."""
    return [[], [], [], []]


class Flow:
    """The flow of one depth in fixed-point arithmetic of `scheme.bits` bits."""

    def __init__(self, depth: int, scheme: Scheme) -> None:
        """Nothing is computed yet."""
        self.depth = depth
        self.scheme = scheme
        self.bits = scheme.bits
        self.one = 1 << scheme.bits

    def fixed(self, value: Any) -> int:
        """A number as an integer times 2^-bits."""
        return int(mp.nint(mp.ldexp(mp.mpf(value), self.bits)))

    def real(self, value: int) -> mpf:
        """An integer times 2^-bits as a number."""
        return mp.ldexp(mp.mpf(value), -self.bits)

    def balanced(self, matrix: Any) -> State:
        """Factors S^(1/L) V^T, S^(1/L), ..., U S^(1/L) of `matrix` = U S V^T."""
        u, s, vt = mp.svd_r(matrix)
        root = mp.diag([mp.root(value, self.depth) for value in s])
        layers = [root * vt, *[root] * (self.depth - 2), u * root]
        return [self.fixed(layer[row, column]) for layer in layers for row in (0, 1) for column in (0, 1)]

    def series(self, state: State, step: int, order: int) -> tuple[list[Series], Block]:
        """Taylor coefficients of the factors to `order`, and those of W to one order less, in units of `step`."""
        bits = self.bits
        entries = [[value] for value in state]
        layers = [entries[first : first + 4] for first in range(0, len(entries), 4)]
        prefixes = [layers[0], *(empty_block() for _ in layers[1:])]  # W_j ... W_1
        adjoints = [empty_block() for _ in layers]  # (W_L ... W_{j+1})^T G
        slopes = [adjoints[0], *(empty_block() for _ in layers[1:])]  # -W_j'
        end_to_end = prefixes[-1]
        for k in range(order):
            for j in range(1, self.depth):
                append_product(prefixes[j], layers[j], prefixes[j - 1], bits)
            target = 0 if k else self.one
            for entry, value, seen in zip(adjoints[-1], end_to_end, (0, 1, 1, 2), strict=True):
                entry.append((0, value[k] - target, value[k])[seen])
            for j in range(self.depth - 1, 0, -1):
                append_product(adjoints[j - 1], transposed(layers[j]), adjoints[j], bits)
                append_product(slopes[j], adjoints[j], transposed(prefixes[j - 1]), bits)
            for layer, slope in zip(layers, slopes, strict=True):
                for entry, rate in zip(layer, slope, strict=True):
                    entry.append(-(step * rate[k] >> bits) // (k + 1))
        return entries, end_to_end

    def energy_series(self, entries: list[Series], step: int) -> Series:
        """Taylor coefficients of the integral of |gradient|^2, from those of the factors."""
        velocities = [[k * value for k, value in enumerate(entry)][1:] for entry in entries]
        energy = [0]
        for k in range(1, len(entries[0])):
            energy.append(sum(convolve(rate[:k], rate[:k]) for rate in velocities) // step // k)
        return energy

    def log_det_series(self, end_to_end: Block, step: int) -> Series:
        """Taylor coefficients of the integral of d/dt log det W at depth 2: -2 <Q, G>, where W = Q |W|.

        Balanced factors of depth 2 obey W_1^-1 W_2^T = Q^T. With det W > 0 the rotation Q is W plus its matrix of
        cofactors, normalized, so that nothing is divided by the determinant, which is about exp(-w11^2 / 2).
        """
        bits = self.bits
        w11, w12, w21, w22 = end_to_end
        trace = [x + y for x, y in zip(w11, w22, strict=True)]
        skew = [x - y for x, y in zip(w12, w21, strict=True)]
        length: Series = []  # of (trace, skew)
        rates: Series = []  # (trace w22 + skew^2) / length = <Q, G>
        log_det = [0]
        for k in range(len(w11)):
            to = k + 1
            squared = (convolve(trace[:to], trace[:to]) + convolve(skew[:to], skew[:to])) >> bits
            inner = (convolve(trace[:to], w22[:to]) + convolve(skew[:to], skew[:to])) >> bits
            if k == 0:
                length.append(int(mp.nint(mp.sqrt(mp.mpf(squared << bits)))))
                rates.append((inner << bits) // length[0])
            else:
                cross = convolve(length[1:], length[1:]) >> bits
                length.append(((squared - cross) << bits) // (2 * length[0]))
                rates.append(((inner << bits) - convolve(rates, length[1:])) // length[0])
            log_det.append(-2 * (step * rates[k] >> bits) // to)
        return log_det

    def integrals(self, state: State, step: int, order: int) -> tuple[list[Series], list[Series]]:
        """Taylor coefficients of the factors, and those of the two integrals of a `Moment`."""
        entries, end_to_end = self.series(state, step, order)
        log_det = self.log_det_series(end_to_end, step) if self.depth == 2 else [0] * (order + 1)
        return entries, [self.energy_series(entries, step), log_det]

    def value(self, series: Series, at: int) -> int:
        """A polynomial at a time in units of the step."""
        total = 0
        for coefficient in reversed(series):
            total = (total * at >> self.bits) + coefficient
        return total

    def product(self, state: State) -> State:
        """The entries of W."""
        a, b, c, d = state[:4]
        for first in range(4, len(state), 4):
            e, f, g, h = state[first : first + 4]
            a, b, c, d = e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d
            a, b, c, d = (entry >> self.bits for entry in (a, b, c, d))
        return [a, b, c, d]

    def loss(self, state: State) -> int:
        """The loss of the factors."""
        _, w12, w21, w22 = self.product(state)
        return ((w12 - self.one) ** 2 + (w21 - self.one) ** 2 + w22**2) >> (self.bits + 1)

    def loss_rate(self, state: State) -> int:
        """The derivative of the loss, -|gradient|^2."""
        entries, _ = self.series(state, self.one, 1)
        return -(sum(entry[1] ** 2 for entry in entries) >> self.bits)

    def steps(self, now: Moment) -> Iterator[tuple[Moment, int, Callable[[int], Moment]]]:
        """Each step of the flow: where it ends, its length, and the flow as a function of the time within it.

        The order is the one that the coefficients of the last step promise to be fastest. A step too long for stability
        lets rounding errors grow along the fast directions until the last coefficients show them, and is cut by these.
        """
        tolerance = float(mp.log(mp.mpf(self.scheme.tolerance), 2)) + self.bits
        unit = self.one >> 4
        order = self.scheme.highest_order

        def reach(m: int) -> float:
            """The binary logarithm of the step that the tolerance allows at order m, in units of `unit`."""
            return min((tolerance - sizes[k]) / k for k in (m - 1, m))

        while True:
            entries, integrals = self.integrals(now.state, unit, order)
            sizes = [log2(max(1, *(abs(entry[k]) for entry in entries))) for k in range(order + 1)]
            length = reach(order)
            if -3 < length < 0.5:
                at = self.polynomial(now, unit, entries, integrals)
                step = int(2**length * 2**40) * unit >> 40
                now = at(step)
                yield now, step, at
                best = max(range(self.scheme.lowest_order, order + 1), key=lambda m: reach(m) - log2(m * (m + 8)))
                length = reach(best)
                order = best if best < order else min(order + 2, self.scheme.highest_order)
            unit = int(2 ** max(-40.0, min(length, 10.0)) * 2**50) * unit >> 50

    def polynomial(
        self, now: Moment, unit: int, entries: list[Series], integrals: list[Series]
    ) -> Callable[[int], Moment]:
        """The flow after `now` as a function of the time since."""

        def at(time: int) -> Moment:
            share = (time << self.bits) // unit
            energy, log_det = (self.value(series, share) for series in integrals)
            state = [self.value(entry, share) for entry in entries]
            return Moment(now.time + time, state, now.energy + energy, now.log_det + log_det)

        return at

    def crossing(self, step: int, at: Callable[[int], Moment], level: int) -> Moment:
        """The moment within a step at which the loss, which only falls, is `level`, by Newton's iteration in bounds."""
        low, high = 0, step
        time = step // 2
        for _ in range(400):
            moment = at(time)
            excess = self.loss(moment.state) - level
            low, high = (time, high) if excess > 0 else (low, time)
            shift = (excess << self.bits) // -self.loss_rate(moment.state)
            if abs(shift) < max(moment.time, self.one) >> 180:
                return moment
            time = time + shift if low < time + shift < high else (low + high) // 2
        raise ArithmeticError("no crossing found")

    def report(self, moment: Moment, start: Moment) -> dict[str, mpf]:
        """The values of a record, and how well the conserved quantities and the energy identity are kept."""
        w = [self.real(value) for value in self.product(moment.state)]
        return {
            "time": self.real(moment.time),
            **dict(zip(("w11", "w12", "w21", "w22"), w, strict=True)),
            "log_det": self.real(moment.log_det) if self.depth == 2 else self.log_det_of_layers(moment.state),
            "conserved_error": self.imbalance(moment.state),
            "energy_error": self.real(abs(self.loss(start.state) - self.loss(moment.state) - moment.energy)),
        }

    def log_det_of_layers(self, state: State) -> mpf:
        """The sum of log |det W_j|."""
        layers = (state[first : first + 4] for first in range(0, len(state), 4))
        return sum(mp.log(abs(self.real(a * d - b * c >> self.bits))) for a, b, c, d in layers)

    def imbalance(self, state: State) -> mpf:
        """The largest entry of |W_{j+1}^T W_{j+1} - W_j W_j^T|, all zero along the flow."""
        worst = 0
        for first in range(0, len(state) - 4, 4):
            a, b, c, d, e, f, g, h = state[first : first + 8]
            gaps = (e * e + g * g - a * a - b * b, e * f + g * h - a * c - b * d, f * f + h * h - c * c - d * d)
            worst = max(worst, *map(abs, gaps))
        return self.real(worst >> self.bits)


def begin(flow: Flow, matrix: Sequence[Sequence[Fraction]]) -> Moment:
    """The balanced start of a matrix with positive determinant."""
    start = mp.matrix([[mp.mpf(value.numerator) / value.denominator for value in row] for row in matrix])
    return Moment(0, flow.balanced(start), 0, flow.fixed(mp.log(mp.det(start))))


def trajectory(
    depth: int, matrix: Sequence[Sequence[Fraction]], losses: Sequence[str], scheme: Scheme
) -> Iterator[dict[str, mpf]]:
    """From the balanced start of `matrix`, what the flow is as its loss falls to each of `losses` in turn."""
    flow = Flow(depth, scheme)
    start = begin(flow, matrix)
    steps = flow.steps(start)
    after, step, at = next(steps)
    for level in map(flow.fixed, losses):
        while flow.loss(after.state) > level:
            after, step, at = next(steps)
        yield flow.report(flow.crossing(step, at, level), start)


def at_times(
    depth: int, matrix: Sequence[Sequence[Fraction]], times: Sequence[int], scheme: Scheme
) -> Iterator[dict[str, mpf]]:
    """From the balanced start of `matrix`, what the flow is at each of `times` in turn."""
    flow = Flow(depth, scheme)
    start = begin(flow, matrix)
    steps = flow.steps(start)
    after, step, at = next(steps)
    for time in map(flow.fixed, times):
        while after.time < time:
            after, step, at = next(steps)
        yield flow.report(at(time - (after.time - step)), start)


def scaled_start(start: str, scale: str) -> list[list[Fraction]]:
    """The end-to-end matrix at time 0."""
    return [[Fraction(scale) * Fraction(value) for value in row] for row in STARTS[start]]


def every_record(schemes: Sequence[Scheme], until: str) -> Iterator[tuple[dict[str, Any], dict[str, mpf]]]:
    """What names each record, and its values; all trajectories advance together, from one loss to the next."""
    names = [(depth, scale, start) for depth in DEPTHS for scale in SCALES for start in STARTS]
    losses = [loss for loss in LOSSES if Fraction(loss) >= Fraction(until)]
    running = [
        trajectory(depth, scaled_start(start, scale), losses, schemes[(depth, start) == UNSTABLE])
        for depth, scale, start in names
    ]
    for loss in losses:
        for name, moments in zip(names, running, strict=True):
            if loss != COSTLY or name in COSTLY_FOR:
                depth, scale, start = name
                yield {"depth": depth, "scale": scale, "start": start, "M": STARTS[start], "loss": loss}, next(moments)


def write(until: str) -> None:
    """Write the table, anew after each record."""
    made_by = f"{COMMAND}: Taylor series in fixed-point arithmetic, to 30 significant digits"
    stable, unstable = map(asdict, TABLE_SCHEMES)
    precision = {"general start at depth 2": unstable, "all others": stable}
    records: list[dict[str, Any]] = []
    begun = clock.perf_counter()
    for name, values in every_record(TABLE_SCHEMES, until):
        digits = {key: mp.nstr(x, 30 if key in VALUES else 2, strip_zeros=False) for key, x in values.items()}
        records.append(name | digits)
        records.sort(key=lambda one: (one["depth"], -float(one["scale"]), one["start"], -float(one["loss"])))
        TABLE.write_text(as_json({"made by": made_by, "problem": PROBLEM, "precision": precision}, records))
        shown = (f"{key}={value}" for key, value in (name | digits).items() if key != "M")
        print(f"{clock.perf_counter() - begun:7.1f} s", *shown, flush=True)


def as_json(head: dict[str, Any], records: list[dict[str, Any]]) -> str:
    """The table, one line to a record."""
    lines = ",\n".join(f"  {json.dumps(record)}" for record in records)
    return json.dumps(head, indent=1)[:-2] + f',\n "records": [\n{lines}\n ]\n}}\n'


def check(until: str) -> None:
    """Print how far another integration is from that of the table, as shares of the values."""
    worst = mp.mpf(0)
    pairs = zip(every_record(TABLE_SCHEMES, until), every_record(CHECK_SCHEMES, until), strict=True)
    for (name, values), (_, again) in pairs:
        gaps = {key: abs(values[key] / again[key] - 1) for key in VALUES}
        worst = max(worst, *gaps.values())
        parts = (f"{key} {mp.nstr(gap, 2)}" for key, gap in gaps.items())
        print(name["depth"], name["scale"], name["start"], name["loss"], *parts, flush=True)
    print("largest:", mp.nstr(worst, 2))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="An oracle for gradient flow on factors.")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    task.add_argument("--check", action="store_true", help="integrate at other orders and precision, and compare")
    parser.add_argument("--until", default=LOSSES[-1], choices=LOSSES, help="the last loss (default: %(default)s)")
    arguments = parser.parse_args()
    (write if arguments.write else check)(arguments.until)


if __name__ == "__main__":
    main()

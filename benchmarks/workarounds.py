"""Which workarounds for the run time are still needed with the versions installed here.

``python benchmarks/workarounds.py [NAME ...]`` does without each for once, in a process of its own with a limit of
time, and prints what came of it. The names are those of the table in ``src/rankfall/_execution/README.md``. What a
workaround gains is told by CPU time where it can be, which other work on the machine changes least.
"""

import os
import subprocess
import sys
from importlib.metadata import version

SECONDS = 180
NEEDED, NOT_NEEDED = "still needed", "no longer needed"
# A gain below this is none.
GAIN = 1.2

_TIMED = """
import time
def cpu(function):
    began = time.process_time()
    function()
    return time.process_time() - began
"""

# Two threads of two, which both wait for the pool that they run in.
_BLOCKS = """
import threading, jax, jax.numpy as jnp
w = jax.random.normal(jax.random.key(0), (500, 20, 20))
def program(i):
    def once(k, x):
        return x + 1e-9 * (jnp.linalg.slogdet(x)[1] + jnp.linalg.svd(x, compute_uv=False).sum(-1))[:, None, None]
    jax.jit(lambda x: jax.lax.fori_loop(0, 200, once, x + i))(w).block_until_ready()
threads = [threading.Thread(target=program, args=(i,)) for i in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

_ALONE = """
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
a, b = jnp.ones((1, 64, 512)) / 512, jnp.ones((1, 64, 512))
def repeated(product):
    def once(k, carry):
        a, b = carry
        return a + 1e-9 * product(a, b).sum(), b
    return jax.jit(lambda a, b: jax.lax.fori_loop(0, 200, once, (a, b))[0])
batch = repeated(lambda a, b: a @ b.mT)
one = repeated(lambda a, b: (a[0] @ b[0].T)[None])
times = []
for function in (batch, one):
    function(a, b).block_until_ready()
    times.append(min(cpu(lambda: function(a, b).block_until_ready()) for _ in range(6)))
print(times[0] / times[1])
"""

_FLOW = """
import jax
jit = jax.jit
def without(function=None, **options):
    if function is None:
        return lambda function: without(function, **options)
    options.pop("compiler_options", None)
    return jit(function, **options)
if {without}:
    jax.jit = without
import rankfall as rf
seconds = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, took, **more: seconds.append(took) if "backend_compile" in event else None
)
start = rf.MatrixFactorization.init((3, 3), 3, kind="balanced", scale=1e-2, key=jax.random.key(0))
problem = rf.low_rank_completion((3, 3), 1, 6, key=jax.random.key(1))
rf.train(problem, start, rf.AdaptiveDescent(), stop=rf.Stop(steps=2), progress=False)
print(max(seconds))
"""

_DESCENT = """
import jax, optax
import rankfall as rf
from rankfall.dynamics import batch
batch.takes_hint = lambda: {hint}
start = rf.MatrixFactorization.init((2, 2), 3, kind="balanced", scale=1e-2, det_sign=1, key=jax.random.key(0))
run = lambda: rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-6), stop=rf.Stop(steps=400_000), progress=False)
run()
print(min(cpu(run) for _ in range(3)))
"""

_LOOP = """
import jax
import rankfall as rf
from rankfall.dynamics import loop
if {without}:
    loop.in_blocks = lambda *arguments: None
keys = jax.random.split(jax.random.key(0), 32)
start = rf.MatrixFactorization.init((2, 2), 3, kind="balanced", scale=1e-2, det_sign=1, key=keys)
run = lambda: rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-6), stop=rf.Stop(steps=1_000_000), progress=False)
run()
print(min(cpu(run) for _ in range(3)))
"""

_OPTAX = """
import jax, optax
import rankfall as rf
from rankfall.dynamics import descent
descent.OptaxRule.one_function = True
start = rf.MatrixFactorization.init((2, 2), 3, scale=1e-2, key=jax.random.split(jax.random.key(0), 9))
for rule in (rf.group_rmsprop(1e-2), optax.adam(1e-2), optax.lamb(1e-2), optax.adafactor(1e-2), optax.lion(1e-2)):
    rf.train(rf.two_by_two(), start, rf.GradientDescent(rule), stop=rf.Stop(steps=9), progress=False)
"""

_MAPS = """
import jax, numpy as np
count = lambda: sum(1 for _ in open("/proc/self/maps"))
before = count()
made = [jax.jit(lambda x, i=i: jax.lax.fori_loop(0, 9, lambda k, y: i * y @ x @ y.T, x)) for i in range(30)]
[function(np.ones((5, 5))) for function in made]
print((count() - before) / 30)
"""

_BLAS = """
import threading, numpy as np, threadpoolctl
w = np.random.default_rng(0).normal(size=(120, 120))
def work():
    for _ in range(5):
        np.linalg.svd(w)
def both():
    threads = [threading.Thread(target=work) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
both()
free = min(cpu(both) for _ in range(2))
with threadpoolctl.threadpool_limits(1, "blas"):
    bound = min(cpu(both) for _ in range(2))
print(free / bound)
"""


def run(script: str, **environment: str) -> tuple[str, float | None]:
    """Run a script with a limit of time; return how it ended, and the number that it printed last."""
    words = [sys.executable, "-c", _TIMED + script]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=SECONDS, env=os.environ | environment, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not back after {SECONDS} s", None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return f"status {done.returncode}: {last[:100]}", None
    printed = done.stdout.split()
    return "returned", float(printed[-1]) if printed else None


def returns(script: str, **environment: str) -> tuple[bool, str]:
    """Needed where the script does not come back in order."""
    how, _ = run(script, **environment)
    return how != "returned", how


def gains(how: str, ratio: float | None) -> tuple[bool, str]:
    """Needed where it is worth something; where the comparison itself has failed nothing has been shown."""
    if ratio is None:
        return True, how
    return ratio >= GAIN, f"{ratio:.1f} times the time without"


def compared(script: str, **cases: str) -> tuple[bool, str]:
    """Compare the numbers of two cases of a script, without the workaround and with it."""
    name, (without, with_it) = next((name, case.split("|")) for name, case in cases.items())
    found = [run(script.replace("{" + name + "}", case)) for case in (without, with_it)]
    if None in (found[0][1], found[1][1]):
        return True, f"without: {found[0][0]}; with: {found[1][0]}"
    return gains("", found[0][1] / found[1][1])


def maps() -> tuple[bool, str]:
    """Needed while a compiled function takes maps of the process."""
    how, each = run(_MAPS)
    return each is None or each > 0, how if each is None else f"{each:.1f} memory maps for a small compiled function"


PROBES = {
    "blocks of lanes": lambda: returns(_BLOCKS, NPROC="2"),
    "a batch of one": lambda: gains(*run(_ALONE)),
    "fusion emitters": lambda: compared(_FLOW, without="True|False"),
    "one function": lambda: compared(_DESCENT, hint="False|True"),
    "one loop": lambda: compared(_LOOP, without="True|False"),
    "no hint for optax": lambda: returns(_OPTAX),
    "room": maps,
    "threads of BLAS": lambda: gains(*run(_BLAS, OPENBLAS_NUM_THREADS="2")),
}


def main(names: list[str]) -> None:
    """Print a line for each workaround."""
    for package in ("jax", "jaxlib", "numpy", "scipy"):
        print(f"{package} {version(package)}", end="  ")
    print(f"python {sys.version.split()[0]}", flush=True)
    for name in names or PROBES:
        needed, why = PROBES[name]()
        print(f"{name:20} {NEEDED if needed else NOT_NEEDED:18} {why}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

#!/bin/sh
# A part of the tests with the lowest and with the highest JAX that pyproject.toml allows, each in an environment of its
# own. `make test-versions` runs it; arguments go to pytest in place of the part. Other packages are those of
# constraints.txt. Of the interpreters in $PYTHON the first that has the wanted JAX is taken.
set -u
cd "$(dirname "$0")/.." || exit 1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
grep -vE '^jax(lib)?==' constraints.txt >"$folder/constraints.txt"
range=$(sed -n 's/^ *"jax\(>=[^"]*\)",.*/\1/p' pyproject.toml)
lowest=$(printf %s "$range" | sed 's/>=\([0-9]*\.[0-9]*\).*/\1/')
highest=$(printf %s "$range" | sed 's/.*<0\.\([0-9]*\)/\1/')
# One below the first that is not allowed.
highest=0.$((highest - 1))
status=0

environment() {
    for python in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        rm -rf "$1" && "$python" -m venv "$1" || continue
        "$1/bin/python" -m pip install -q --disable-pip-version-check -c "$folder/constraints.txt" "$2" -e '.[test]' \
            2>"$folder/said" && return 0
    done
    tail -n 3 "$folder/said" >&2
    return 1
}

for series in "$lowest.0" "$highest.*"; do
    if ! environment "$folder/venv" "jax==$series"; then
        echo "jax $series: NOT INSTALLED (none of the interpreters has it)"
        status=1
        continue
    fi
    version=$("$folder/venv/bin/python" -c 'import jax, sys; print(jax.__version__, "with Python", sys.version.split()[0])')
    if OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" -m pytest -q -x -p no:cacheprovider \
        "${@:-tests/_execution}" tests/dynamics/test_train.py tests/measures/test_singular_values.py; then
        echo "jax $version: passes"
    else
        echo "jax $version: FAILS"
        status=1
    fi
done
exit $status

"""Words of the command line as problems: matrices in files as others write them, and seeds."""

import codecs
import re

import jax
import numpy as np
import pandas as pd
import pytest

from rankfall.cli.problems import key_of, problem_of

NAN = np.nan


@pytest.fixture
def read(tmp_path):
    """The matrix that is read from a content, NaN where it was not observed."""

    def of(content):
        path = tmp_path / "m.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        problem = problem_of(str(path), 20, 2, None)
        full = np.full(problem.shape, NAN)
        full[tuple(problem.indices.T)] = problem.values
        return full

    return of


READ = {
    "plain": ("1,2\n3,\n", [[1, 2], [3, NAN]]),
    "byte-order mark": (codecs.BOM_UTF8 + b"1,2\n3,\n", [[1, 2], [3, NAN]]),
    "UTF-16": ("1,2\n3,4\n".encode("utf-16"), [[1, 2], [3, 4]]),
    "Windows": ("1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
    "semicolons": ("1;2\n3;\n", [[1, 2], [3, NAN]]),
    "decimal commas": ("1,5;-2\n3,5e-1;,25\n", [[1.5, -2], [0.35, 0.25]]),
    "tabs": ("1\t2\n\t4\n", [[1, 2], [NAN, 4]]),
    "decimal commas and tabs": ("1,5\t2\n3,5\tNA\n", [[1.5, 2], [3.5, NAN]]),
    "blanks": (" 1.0e+00  nan\n 3.0e+00  4.0e+00\n", [[1, NAN], [3, 4]]),
    "comments": ("# of mine\n1,2\n3,4\n", [[1, 2], [3, 4]]),
    "empty lines": ("1,2\n  \n3,4\n\n", [[1, 2], [3, 4]]),
    "one column": ("1\n\n3\n", [[1], [NAN], [3]]),
    "one column of pandas": ('1.0\n""\n3.0\n""\n', [[1], [NAN], [3], [NAN]]),
    "quotes and blanks": ('"1", 2\n"", 4\n', [[1, 2], [NAN, 4]]),
    "words for nothing": ("1,N/A,null\n<NA>,#N/A,?\nNone,-,.\n2,*,NaN\n",
                          [[1, NAN, NAN], [NAN] * 3, [NAN] * 3, [2, NAN, NAN]]),
    "nothing in the last column": ("1,nan\n2,nan\n", [[1, NAN], [2, NAN]]),
    "a corner that was not observed": (",1\n1,0\n", [[NAN, 1], [1, 0]]),
    "whole numbers that begin at zero": ("0,1\n1,0\n", [[0, 1], [1, 0]]),
    "zeros that were observed": ("0.0,1,2\n5,6,7\n", [[0, 1, 2], [5, 6, 7]]),
    "one row": ("3;,5;nan\n", [[3, 0.5, NAN]]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_matrices_are_read_as_programs_write_them(name, read):
    content, expected = READ[name]
    np.testing.assert_array_equal(read(content), expected)


TABLE = np.array([[NAN, 1.5, -2.0], [1.25, NAN, 4.0], [0.5, 3.0, NAN], [7.0, 8.0, 9.0]])


def test_numpy_and_pandas_write_what_is_read(read, tmp_path):
    np.savetxt(tmp_path / "of_numpy.txt", TABLE)
    np.testing.assert_array_equal(read((tmp_path / "of_numpy.txt").read_bytes()), TABLE)
    for frame in (pd.DataFrame(TABLE), pd.DataFrame(TABLE).convert_dtypes()):
        np.testing.assert_array_equal(read(frame.to_csv(index=False, header=False)), TABLE)
        german = frame.to_csv(index=False, header=False, sep=";", decimal=",", na_rep="N/A", encoding="utf-8-sig")
        np.testing.assert_array_equal(read(german), TABLE)


@pytest.mark.parametrize("options", [{}, {"index": False}, {"header": False}], ids=["both", "header", "index"])
@pytest.mark.parametrize("whole", [False, True], ids=["fractions", "whole numbers"])
@pytest.mark.parametrize("missing", [0.0, NAN])
def test_row_numbers_and_headers_are_not_taken_for_observations(options, whole, missing, read):
    frame = pd.DataFrame(np.nan_to_num(np.round(TABLE[:, [1, 2, 0]] * 4), nan=missing) / (1 if whole else 8))
    if whole:
        frame = frame.astype("Int64")
    with pytest.raises(ValueError, match=r"index=False, header=False.*write 0\.0"):
        read(frame.to_csv(**options))


REFUSED = {
    "names of columns": ("a,b\n1,2\n", "row 1 holds 'a', which is no number"),
    "a mark at the end": ("1,2,\n3,4,\n", "has ',' at the end of every row"),
    "ragged": ("1,2\n3\n", "rows of one length; it has [1, 2] (cells end at ',')"),
    "decimal commas and blanks": ("1,5 2\n3,5 4\n", "row 1 holds '5 2', which is no number"),
    "commas and points": ("1,5;2.5\n1;2\n", "has numbers with a decimal comma and others with a point"),
    "thousands": ("1.234,5;1\n2;3\n", "row 1 holds '1.234,5', which is no number"),
    "a long cell": ("1," + "9" * 200_000 + "\n3,4\n", "cannot be read (field larger than field limit"),
    "UTF-16 without a mark": ("1,2\n3,4\n".encode("utf-16-le"), "save it as text in the encoding UTF-8"),
    "nothing": ("\n\n", "must have rows of one length; it has []"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused_in_a_sentence(name, read):
    content, said = REFUSED[name]
    with pytest.raises(ValueError, match=f"^problem is '.*m.csv', but .*{re.escape(said)}.*\\.$"):
        read(content)


def test_no_observations_are_not_half_of_them():
    assert problem_of("completion", 4, 1, None)(jax.random.key(0)).observed == 8
    with pytest.raises(ValueError, match="observed is 0"):
        problem_of("completion", 4, 1, 0)(jax.random.key(0))


def test_seeds_that_differ_give_keys_that_differ():
    seeds = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64, 99999999999999999999, 10**100]
    keys = [tuple(jax.random.key_data(key_of(seed)).tolist()) for seed in seeds]
    assert len(set(keys)) == len(seeds)
    assert keys[1] == tuple(jax.random.key_data(jax.random.key(1)).tolist())
    with pytest.raises(ValueError, match="seed is -1, but must be an integer of at least 0"):
        key_of(-1)

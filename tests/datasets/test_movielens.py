"""The reader of MovieLens 100K, on small files of its form: nobody may hand the real one on."""

import numpy as np
import pytest

import rankfall as rf

ROWS = [(3, 1, 5, 881250949), (1, 2, 3, 881250950), (1, 1, 1, 891717742), (2, 4, 4, 878887116)]


def _write(path, rows=ROWS, end="\n"):
    path.write_bytes(b"".join(("\t".join(map(str, row)) + end).encode() for row in rows))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_rows_are_items_and_columns_users(tmp_path, end):
    problem = rf.read_movielens(_write(tmp_path / "u.data", end=end))
    assert problem.shape == (4, 3) and problem.loss_kind == "half_sse" and problem.dtype == "float64"
    expected = {(item - 1, user - 1): rating for user, item, rating, _ in ROWS}
    assert dict(zip(map(tuple, problem.indices.tolist()), problem.values.tolist(), strict=True)) == expected


def test_options_are_those_of_a_completion(tmp_path):
    path = _write(tmp_path / "u.data")
    problem = rf.read_movielens(str(path), shape=(1682, 943), loss="mse", dtype="float32")
    assert problem.shape == (1682, 943) and (problem.loss_kind, problem.dtype) == ("mse", "float32")
    assert problem.observed == len(ROWS)


def test_a_file_of_the_published_size_is_read_at_once(tmp_path):
    rng = np.random.default_rng(0)
    places = rng.permutation(1682 * 943)[:100_000]
    rows = np.stack([places % 943 + 1, places // 943 + 1, rng.integers(1, 6, 100_000), 881250949 + places], axis=1)
    np.savetxt(tmp_path / "u.data", rows, fmt="%d", delimiter="\t")
    problem = rf.read_movielens(tmp_path / "u.data")
    assert problem.shape == (1682, 943) and problem.observed == 100_000
    dense = np.zeros((1682, 943))
    dense[rows[:, 1] - 1, rows[:, 0] - 1] = rows[:, 2]
    np.testing.assert_array_equal(dense[tuple(problem.indices.T)], problem.values)


BAD = {
    "commas": ("1,2,3,881250949\n", "a line of it is '1,2,3,881250949'"),
    "colons": ("1::2::3::881250949\n", "a line of it is '1::2::3::881250949'"),
    "no timestamps": ("1\t2\t3\n", "a line of it is '1\\t2\\t3'"),
    "a column more": ("1\t2\t3\t4\t5\n", "a line of it is '1\\t2\\t3\\t4\\t5'"),
    "a line short": ("1\t2\t3\t4\n1\t3\t3\n", "a line of it is '1\\t3\\t3'"),
    "names": ("1\t2\t3\t4\nuser\titem\trating\ttime\n", "a line of it is 'user\\titem\\trating\\ttime'"),
    "half stars": ("1\t2\t3.5\t4\n", "a line of it is '1\\t2\\t3.5\\t4'"),
    "a number beyond": ("1\t2\t3\t99999999999999999999\n", "a line of it is '1\\t2\\t3\\t99999999999999999999'"),
    "no text": (b"\x89PNG\r\n\x1a\n\0", "a line of it is"),
    "empty": ("", "there is nothing in it"),
    "blank": ("\n \n", "there is nothing in it"),
    "no stars": ("1\t2\t0\t4\n", "it says that user 1 rates item 2 by 0"),
    "six stars": ("1\t2\t6\t4\n", "it says that user 1 rates item 2 by 6"),
    "from zero on": ("0\t2\t5\t4\n", "it says that user 0 rates item 2 by 5"),
    "another order": ("1\t2\t881250949\t4\n", "it says that user 1 rates item 2 by 881250949"),
    "rated twice": ("1\t2\t5\t4\n2\t2\t5\t4\n1\t2\t4\t4\n", "user 1 rates item 2 in it more than once"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_another_form_is_refused(tmp_path, case):
    content, sentence = BAD[case]
    path = tmp_path / "u.data"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as raised:
        rf.read_movielens(path)
    said = str(raised.value)
    assert said.startswith(f"path is {str(path)!r}, but {sentence}") and "\n" not in said
    assert said.endswith(
        "; it must hold lines of user, item, rating (1 to 5) and timestamp with tabs between, as u.data of MovieLens "
        "100K does (100,000 ratings of 1,682 items by 943 users, on GroupLens' page of that data set)."
    )


def test_a_missing_file_says_where_to_get_it(tmp_path):
    sentence = r"cannot be read \(No such file or directory\); give the file u.data of MovieLens 100K, which is on "
    with pytest.raises(ValueError, match=sentence + r"GroupLens' page of that data set\.$"):
        rf.read_movielens(tmp_path / "u.data")


def test_a_shape_too_small_and_one_beyond_memory(tmp_path):
    path = _write(tmp_path / "u.data")
    with pytest.raises(ValueError, match=r"shape is \(4, 2\), but must have room for item 4 and user 3.*\(4, 3\)"):
        rf.read_movielens(path, shape=(4, 2))
    with pytest.raises(ValueError, match="^path is .*, but no memory holds the 1.0e[+]12 numbers"):
        rf.read_movielens(_write(path, [(10**6, 10**6, 1, 1)]))

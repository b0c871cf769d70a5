import re
import shutil
from html.parser import HTMLParser

import pytest

from rankfall.experiments import Sweep
from rankfall.experiments.shown import show
from rankfall.report import reproduce, stored_names, write_page
from rankfall.report.page import readable

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Tags, attributes and text of a page; complains about tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def _read(page):
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def test_page_shows_everything_stored(tiny, tmp_path):
    tiny["tiny-two"].holds = False
    reproduce(["tiny-one", "tiny-two"], tmp_path)
    page = write_page(tmp_path, ["tiny-one", "tiny-two"])
    assert page == tmp_path / "report.html"
    reader = _read(page)
    assert "3 of 4 claims hold." in reader.text
    for words in (
        "[[*, 1], [1, 0]]",
        "A <tiny> & quick experiment",
        'Is "two" < three?',
        "the value is <2>",
        "arithmetic & more",
        "with <three>: measured 3; fails, as it must",
        "∞",
        "✓ holds",
        "✗ does not hold",
        '"seed": 7',
        "jax_version",
    ):
        assert words in reader.text
    for year in ("razin2020", "arora2018", "arora2019", "roy2007", "gunasekar2017"):
        assert year in reader.text


def test_claims_that_do_not_apply_count_neither_way(tiny, tmp_path):
    tiny["tiny-two"].holds = False
    reproduce(["tiny-one", "tiny-two"], tmp_path, settings=["steps=5"])
    reader = _read(write_page(tmp_path, stored_names(tmp_path)))
    assert "1 of 2 claims hold; 2 more are not applicable." in reader.text
    assert reader.text.count("not applicable") >= 3 and reader.text.count("does not hold") == 1
    assert "At other settings: steps = 5" in reader.text
    assert (
        "1 of 1 claims about it hold; 1 more is not applicable." in [a for t, a in reader.tags if t == "img"][0]["alt"]
    )


def test_page_is_one_file_with_pictures_that_have_words(tiny, tmp_path):
    reproduce(["tiny-one"], tmp_path)
    reader = _read(write_page(tmp_path, ["tiny-one"]))
    pictures = [attrs for tag, attrs in reader.tags if tag == "img"]
    assert len(pictures) == 1
    assert pictures[0]["src"].startswith("data:image/png;base64,")
    assert "A <tiny> & quick experiment; 2 of 2 claims" in pictures[0]["alt"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:)|@import|url\(', text)
    assert not {tag for tag, _ in reader.tags} & {"script", "link"}


def test_page_can_be_written_again_from_what_is_stored(tiny, tmp_path):
    reproduce(["tiny-one"], tmp_path)
    tiny.clear()  # nothing is asked of the experiments
    first = write_page(tmp_path, ["tiny-one"]).read_text()
    assert write_page(tmp_path, ["tiny-one"]).read_text() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "tiny-one"]


def test_only_complete_results_count_as_stored(tiny, tmp_path):
    reproduce(["tiny-two", "tiny-one"], tmp_path)
    assert stored_names(tmp_path) == ["tiny-one", "tiny-two"]
    (tmp_path / "tiny-two" / "claims.json").unlink()
    assert stored_names(tmp_path) == ["tiny-one"]
    with pytest.raises(ValueError, match=r"\(claims.json missing\); run rankfall reproduce tiny-two"):
        write_page(tmp_path, ["tiny-two"])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("claims.json", b"garbage"),
        ("claims.json", b""),
        ("claims.json", b"\xff\xfe"),
        ("claims.json", b'{"name": 1}'),
        ("claims.json", b'[{"name": 1}]'),
        ("data.nc", b"garbage"),
        ("data.nc", b""),
    ],
)
def test_a_result_that_is_not_as_it_was_written_is_named(tiny, tmp_path, file, content):
    reproduce(["tiny-one"], tmp_path)
    (tmp_path / "tiny-one" / file).write_bytes(content)
    with pytest.raises(ValueError, match=rf"^out/NAME is '.*tiny-one', but its {file} is not as .* reproduce tiny-one"):
        write_page(tmp_path, ["tiny-one"])
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-one"]


def test_a_claim_with_half_a_control_is_not_as_it_was_written(tiny, tmp_path):
    reproduce(["tiny-one"], tmp_path)
    file = tmp_path / "tiny-one" / "claims.json"
    file.write_text(file.read_text().replace('"fails"', '"failed"'))
    with pytest.raises(ValueError, match=r"claims.json is not as reproduce wrote it \(no list of claims\)"):
        write_page(tmp_path, ["tiny-one"])


@pytest.mark.parametrize("out", ["", "a\0b"])
def test_a_folder_that_is_none(out):
    for call in (stored_names, lambda out: write_page(out, [])):
        with pytest.raises(ValueError, match="^out is .*, but must be the path of a folder"):
            call(out)


def test_page_that_cannot_be_written(tiny, tmp_path):
    reproduce(["tiny-one"], tmp_path)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ValueError, match="report.html' cannot be written"):
        write_page(tmp_path, ["tiny-one"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "tiny-one"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A small sweep with a figure and a claim, stored as `rankfall run` stores it."""
    out = tmp_path_factory.mktemp("swept")
    sweep = Sweep(
        problem={"name": "two-by-two"},
        factorization={"name": "matrix", "scale": 0.1},
        dynamics={"name": "gradient-descent", "step_size": 0.05},
        stop={"steps": 3},
        sweep={"factorization.depth": [2, 3]},
        title="Two <depths>",
        figure=[{"name": "losses", "x": "step", "y": "loss"}],
        claim=[{"name": "one-step", "measure": "loss", "at": "end", "comparison": "at_most", "value": 1e-9}],
    )
    show(sweep, sweep.run(out, progress=False), out, lambda said: None)
    return out


@pytest.mark.parametrize("inside", [False, True])
def test_sweeps_stand_on_the_page_too(tiny, swept, tmp_path, inside):
    out = tmp_path / "out"
    shutil.copytree(swept, out / "mine" if inside else out)
    reproduce(["tiny-one"], out)
    reader = _read(write_page(out, ["tiny-one"]))
    assert "2 of 3 claims hold." in reader.text and "✗ does not hold" in reader.text
    assert "A sweep of 2 runs: factorization.depth (2) x seed (1)." in reader.text and "Two <depths>" in reader.text
    assert [a["id"] for t, a in reader.tags if t == "section" and "id" in a] == [
        "tiny-one",
        "sweep-mine" if inside else "sweep",
    ]
    assert sum(tag == "img" for tag, _ in reader.tags) == 2


@pytest.mark.parametrize(("file", "text"), [("claims.json", "[3]"), ("sweep.json", "{}"), ("sweep.json", "no")])
def test_a_sweep_that_is_not_as_it_was_written_is_named(swept, tmp_path, file, text):
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    (out / file).write_text(text)
    with pytest.raises(ValueError, match=rf"^out is .*out', but its {file} is not as rankfall run wrote it \("):
        write_page(out, [])


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (230361.5013, 230361.4987),
        (1 + 1e-9, 1.0),
        (1e-300, 0.0),
        (3.0, 3.0),
        (2 / 3, 0.5),
        (1 / 3, 1 / 3 + 1e-12),
        (5e8, 5),
    ],
)
def test_values_are_written_with_the_digits_that_show_their_difference(measured, expected):
    """Six digits made 230362 and 230361 of the first two, which agree to 1e-8."""
    texts = readable(float(measured), expected), readable(float(expected), measured)
    apart = float(texts[0]) - float(texts[1])
    assert apart == pytest.approx(measured - expected, rel=0.1) and max(map(len, texts)) <= 18
    assert readable(measured) == f"{measured:.6g}"

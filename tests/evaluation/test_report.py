"""The report is one page that needs nothing else."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from gammalearn.errors import EvaluationError
from gammalearn.evaluation import ReportSection, Worded
from gammalearn.evaluation.report.page import Report, ReportFigure, ReportMetric, render_report
from gammalearn.evaluation.report.provenance import InputFile


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Figure(figsize=(1, 1)).savefig(path)
    return path


def page(**parts):
    empty = {
        "title": "Title",
        "lead": "Lead.",
        "warnings": [],
        "metrics": [],
        "figures": [],
        "events": [["Particle", "Events"], ["gamma", 12345]],
        "provenance": {"GammaLearn": "1.0"},
        "files": [InputFile("a.h5", "0" * 64)],
    }
    return render_report(Report(**{**empty, **parts}))


def test_pictures_are_embedded_with_alternative_text(picture):
    html = page(figures=[ReportFigure(picture, "What it shows", "Caption.")])
    assert re.search(r'<img src="data:image/png;base64,iVBOR[^"]+" alt="What it shows">', html)
    assert "<figcaption>Caption.</figcaption>" in html


def test_nothing_is_loaded_from_elsewhere(picture):
    html = page(figures=[ReportFigure(picture, "alt", "")])
    for source in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert source.startswith(("data:", "#"))
    assert not re.search(r"https?://|url\(|@import|<script[^>]", html)


def test_text_is_escaped():
    html = page(title="<b>&", warnings=["1 < 2"], files=[InputFile("<i>.h5", "")])
    assert "<title>&lt;b&gt;&amp;</title>" in html
    assert "<li>1 &lt; 2</li>" in html
    assert ">&lt;i&gt;.h5</td>" in html


def test_warnings_stand_in_a_box_that_is_absent_without_any():
    assert 'class="warning"' in page(warnings=["Few events."])
    assert 'class="warning"' not in page()


def test_numbers_are_readable():
    metrics = [
        ReportMetric("Bias", -0.123456, "", "Definition."),
        ReportMetric("Angle", 0.1, "deg", ""),
        ReportMetric("Area", None, "deg", ""),
    ]
    html = page(metrics=metrics)
    for text in ("\N{MINUS SIGN}0.1235", "0.1 deg", "–"):
        assert f'<div class="value">{text}</div>' in html
    assert '<p class="note">Definition.</p>' in html
    assert ">12\N{NARROW NO-BREAK SPACE}345</td>" in html


def test_many_files_are_folded_away():
    file = InputFile("a.h5", "0" * 64)
    assert "<details>" not in page(files=[file] * 8)
    assert "<details><summary>9 DL2 files</summary>" in page(files=[file] * 9)


def test_files_are_told_by_their_content_their_makers_and_seeds():
    made = {"software": "GammaLearn 1.0", "settings": "training:\n  seed: 42\n"}
    files = [InputFile("a.h5", "a" * 64, **made), InputFile("b.h5", "b" * 64, **made)]
    html = page(files=files)
    assert f'<td class="hash">{"a" * 64}</td>' in html
    assert html.count(">GammaLearn 1.0</td>") == 2
    assert html.count('data-value="42.0">42</td>') == 2
    # The same settings once.
    assert html.count("<pre>") == 1
    assert "network that made a.h5, b.h5</summary><pre>training:\n  seed: 42\n</pre>" in html


def test_checkpoints_are_named_where_files_say_theirs():
    files = [InputFile("a.h5", "a" * 64, checkpoint="c" * 16), InputFile("b.h5", "b" * 64)]
    html = page(files=files)
    assert "<th>Checkpoint (BLAKE2b)</th>" in html
    assert f'<td class="hash">{"c" * 16}</td>' in html
    assert "Checkpoint" not in page(files=files[1:])


def test_numbers_carry_what_they_are_sorted_by():
    """Rounded for the eye, whole for the order."""
    table = {"a": [np.float64(0.123456), 1, None, float("nan")]}
    html = page(sections=[ReportSection("Title", table=table, heading=["", "x", "n"])])
    assert '<td class="number" data-value="0.123456">0.1235</td>' in html
    assert '<td class="number" data-value="1.0">1</td>' in html
    assert html.count('<td class="number">–</td>') == 2 + 1  # and the seed of the file


def test_numbers_in_words_are_sorted_as_numbers():
    """With an error, a unit or as a share: the words are for the eye alone."""
    table = {"a": Worded(-0.008, "−0.0080 ± 0.0075"), "b": Worded(0.052, "5.2%")}
    html = page(sections=[ReportSection("Title", table=table)])
    assert '<td class="number" data-value="-0.008">−0.0080 ± 0.0075</td>' in html
    assert '<td class="number" data-value="0.052">5.2%</td>' in html


def test_a_section_has_text_table_and_picture(picture):
    section = ReportSection(
        "Training",
        text="First.\n\nSecond & last.",
        table={"epochs": 20, "loss": [0.5, 0.25]},
        picture=picture,
        alt="Learning curve",
    )
    html = page(sections=[section])
    flat = html.replace("\n", "")
    assert "<h2>Training</h2><p>First.</p><p>Second &amp; last.</p>" in flat
    assert ">epochs</td>" in html
    assert ">0.25</td>" in html
    assert 'alt="Learning curve"' in html


def test_a_section_without_a_picture_is_folded_away(picture):
    """It may be a title alone. What is looked at rather than read is not folded."""
    sections = [ReportSection("Title only"), ReportSection("Training", picture=picture)]
    html = page(sections=sections).replace("\n", "")
    folded = '<details class="chapter" id="section-1"><summary><h2>Title only</h2></summary>'
    assert f"{folded}</details>" in html
    assert '<section id="section-2"><h2>Training</h2>' in html
    assert '<a href="#section-1">Title only</a><a href="#section-2">Training</a>' in html


def test_the_first_figures_are_shown_and_the_others_folded_away(picture):
    figures = [ReportFigure(picture, f"figure {number}", "") for number in range(8)]
    shown, folded = page(figures=figures).split("<summary>2 more figures</summary>")
    assert shown.count("<img") == 6 and folded.count("<img") == 2
    assert "more figures" not in page(figures=figures[:6])


def test_a_missing_picture(tmp_path):
    section = ReportSection("Training", picture=tmp_path / "none.png")
    with pytest.raises(
        EvaluationError, match=r"picture '.*none.png' for the report cannot be read"
    ):
        page(sections=[section])


def test_a_picture_that_pages_do_not_show(tmp_path):
    section = ReportSection("Training", picture=tmp_path / "curve.pdf")
    with pytest.raises(EvaluationError, match=r"cannot be shown in a report; give one of .png"):
        page(sections=[section])

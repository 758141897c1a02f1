"""The report in a real browser: tables sort, phones and printers have it whole."""

import json
import shutil
import subprocess
from html import unescape
from importlib.resources import files

import pytest
from matplotlib.figure import Figure

from gammalearn.evaluation import ReportSection
from gammalearn.evaluation.report.page import Report, ReportFigure, ReportMetric, render_report
from gammalearn.evaluation.report.provenance import InputFile

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium")

#: Runs in the page: sorts by the columns of the last table, and measures a phone's view.
PROBE = """
<iframe id="phone" style="width: 360px; height: 640px" srcdoc="PAGE"></iframe>
<script>
addEventListener("load", () => {
  const inside = document.getElementById("phone").contentDocument;
  inside.getElementById("section-1").open = true;
  const table = inside.querySelector("#section-1 table");
  const column = (n) => Array.from(table.tBodies[0].rows, (row) => row.cells[n].textContent);
  const buttons = Array.from(table.tHead.querySelectorAll("button"));
  const found = { buttons: buttons.map((b) => b.textContent), before: column(0) };
  buttons[1].focus();
  found.focused = inside.activeElement === buttons[1];
  const sorts = () => Array.from(table.tHead.rows[0].cells, (c) => c.getAttribute("aria-sort"));
  buttons[1].click();
  found.up = [column(0), sorts()];
  buttons[1].click();
  found.down = [column(0), sorts()];
  buttons[0].click();
  found.names = [column(0), sorts()];
  found.cards = Array.from(inside.querySelectorAll(".card .value"), (v) => v.textContent);
  found.width = inside.documentElement.scrollWidth;
  found.images = Array.from(inside.images, (i) => [i.naturalWidth > 0, i.alt]);
  found.hash = inside.querySelector("td.hash").getBoundingClientRect().width;
  const open = () => Array.from(inside.querySelectorAll("details"), (d) => d.open);
  const tell = (what) => inside.defaultView.dispatchEvent(new Event(what));
  inside.querySelectorAll("details")[1].open = true;
  found.folded = [open()];
  for (const what of ["beforeprint", "afterprint"]) {
    tell(what);
    found.folded.push(open());
  }
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.replaceChildren(out);
});
</script>
"""


#: Runs the rules of WCAG 2, levels A and AA, and leaves what breaks them.
AUDIT = """
<script>PROGRAM</script>
<script>
addEventListener("load", async () => {
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  const found = await axe.run({ runOnly: ["wcag2a", "wcag2aa"] });
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify({
    broken: found.violations.map((v) => [v.id, v.nodes.map((n) => n.failureSummary + n.html)]),
    passed: found.passes.map((v) => v.id),
  });
  document.body.replaceChildren(out);
});
</script></body>
"""

#: What a page says of a reader who likes it dark, and what all readers are.
DARK, ANY = "(prefers-color-scheme: dark)", "(min-width: 1px)"


def browse(*words):
    """Run the browser without a window; what it prints."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"]
    done = subprocess.run([BROWSER, *options, *words], capture_output=True, timeout=60, check=True)
    return done.stdout.decode("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    picture = folder / "picture.png"
    Figure(figsize=(12, 3)).savefig(picture)
    rows = {"b": [2.0, 10], "a": [None, 5], "d": [-1.5, 7], "c": [10.0, 1]}
    report = Report(
        title="Title",
        lead="Lead.",
        warnings=["A warning."],
        metrics=[
            ReportMetric("Angle", 10.0, "deg", "What it is, in a sentence of some length."),
            ReportMetric("Bias", 0.1, "", ""),
            ReportMetric("Difference", -2.0, "deg", ""),
        ],
        figures=[ReportFigure(picture, "What it shows", "Caption.")],
        events=[["Particle", "Events"], ["gamma", 12345], ["proton", 2]],
        provenance={"GammaLearn": "1.0"},
        files=[
            InputFile(f"{name}.dl2.h5", "0123456789abcdef" * 4, "GammaLearn", f"name: {name}")
            for name in ("gamma", "proton")
        ],
        sections=[ReportSection("Points", table=rows, heading=["Name", "Value", "Number"])],
    )
    path = folder / "report.html"
    path.write_text(render_report(report), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(page):
    source = page.read_text(encoding="utf-8").replace("&", "&amp;").replace('"', "&quot;")
    probe = page.with_name("probe.html")
    probe.write_text(f"<!DOCTYPE html><body>{PROBE.replace('PAGE', source)}</body>", "utf-8")
    text = browse("--dump-dom", probe.as_uri())
    return json.loads(unescape(text.split('<pre id="found">')[1].split("</pre>")[0]))


def test_tables_sort_by_a_click_on_their_headings(found):
    assert found["buttons"] == ["Name", "Value", "Number"]
    assert found["before"] == ["b", "a", "d", "c"]
    # What has no value is last, in both directions.
    assert found["up"] == [["d", "b", "c", "a"], [None, "ascending", None]]
    assert found["down"] == [["c", "b", "d", "a"], [None, "descending", None]]
    assert found["names"] == [["a", "b", "c", "d"], ["ascending", None, None]]


def test_headings_are_buttons_of_the_keyboard(found):
    """Buttons that can have the focus: the browser presses them with space and return."""
    assert found["focused"]


def test_the_results_come_first(found):
    assert found["cards"] == ["10 deg", "0.1", "−2 deg"]


def test_what_is_folded_away_is_unfolded_for_the_printer_alone(found):
    """But for what the reader had unfolded."""
    by_reader = [True, True, False, False]
    assert found["folded"] == [by_reader, [True] * 4, by_reader]


def test_a_phone_needs_no_scrolling_to_the_side(found):
    assert found["width"] <= 360
    assert 100 < found["hash"] < 360


def test_pictures_are_shown_and_described(found):
    assert found["images"] == [[True, "What it shows"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_all(page, scheme, tmp_path):
    """Contrast, names of links and buttons, headings of tables: WCAG 2 AA, by axe-core."""
    program = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    source = page.read_text(encoding="utf-8")
    assert DARK in source
    if scheme == "dark":
        source = source.replace(DARK, ANY)
    audit = AUDIT.replace("PROGRAM", program)
    copy = tmp_path / "audit.html"
    copy.write_text(audit.join(source.rsplit("</body>", 1)), encoding="utf-8")
    text = browse("--dump-dom", copy.as_uri())
    found = json.loads(unescape(text.split('<pre id="found">')[1].split("</pre>")[0]))
    assert found["broken"] == []
    assert "color-contrast" in found["passed"]


def test_it_prints(page, tmp_path):
    printed = tmp_path / "report.pdf"
    browse(f"--print-to-pdf={printed}", "--no-pdf-header-footer", page.as_uri())
    assert printed.read_bytes().startswith(b"%PDF")
    assert printed.stat().st_size > 5000


def test_names_that_are_programs_do_not_run(tmp_path):
    """Of files, settings, particles and sections, which all may come from somebody else."""
    program = "document.body.setAttribute('data-has', 'run')"
    names = [
        f"<script>{program}</script>",
        f'"><img src=x onerror="{program}">',
        f"</title></pre></summary></td><svg onload={program}>",
        f"{{{{ '{program}' }}}}",
    ]
    report = Report(
        title=names[0],
        lead=names[1],
        warnings=names,
        metrics=[ReportMetric(name, name, name, name) for name in names],
        figures=[],
        events=[["Particle", "Events"], *([name, 1] for name in names)],
        provenance={name: name for name in names},
        files=[InputFile(name, name, name, name, checkpoint=name) for name in names],
        sections=[
            ReportSection(name, name, {name: [name, name]}, ["", name, name]) for name in names
        ],
    )
    path = tmp_path / "report.html"
    path.write_text(render_report(report), encoding="utf-8")
    shown = browse("--dump-dom", path.as_uri())
    body = shown[shown.index("<body") : shown.index(">", shown.index("<body"))]
    assert "data-has" not in body
    assert "<svg" not in shown and "<img" not in shown
    assert shown.count("<script") == 1, "its own"

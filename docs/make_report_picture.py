"""Draw docs/pictures/report.png: results and first figures of a run's report, in a browser.

    python docs/make_report_picture.py runs/lst_stereo

Needs Chromium: `apt install chromium` on Debian.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PICTURE = Path(__file__).parent / "pictures" / "report.png"

#: Pixels: of the window, which is higher than what is shown in it, and of the picture.
WINDOW, WIDTH = (1280, 6000), 960
MARGIN, COLOURS = 20, 128

#: The page ends after some pairs of figures.
ENDS = "<style>figure:nth-of-type(n+7), .figures ~ * { display: none }</style></head>"


def screenshot(report: Path) -> Image.Image:
    """The beginning of a report as the browser shows it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        raise SystemExit("There is no Chromium; install it, such as with apt install chromium.")
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder, "report.html"), Path(folder, "report.png")
        page.write_text(report.read_text("utf-8").replace("</head>", ENDS), "utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        options += ["--window-size={},{}".format(*WINDOW), f"--screenshot={shot}"]
        subprocess.run([browser, *options, page.as_uri()], check=True, capture_output=True)
        return Image.open(shot).convert("RGB")


def main():
    """Write the picture without the empty rest of the window."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    shown = screenshot(Path(sys.argv[1], "report.html"))
    last = np.flatnonzero((np.asarray(shown) < 255).any(axis=(1, 2))).max()
    shown = shown.crop((0, 0, shown.width, last + MARGIN))
    shown = shown.resize((WIDTH, round(shown.height * WIDTH / shown.width)), Image.LANCZOS)
    shown.quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()

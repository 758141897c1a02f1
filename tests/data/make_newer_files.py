"""Make DL1 of ctapipe's data models 7.4 to 7.6, from the simtel files of the test data.

    python tests/data/make_newer_files.py FOLDER

writes a file a release, ``ctapipe-0.30.0.dl1.h5`` and so on, unless it is there. It needs Python
3.12 or newer with the newest ctapipe; pip brings the code of the others, which run on what is
installed. The tests find the files by GAMMALEARN_NEWER_FILES=FOLDER, and run with any ctapipe.
"""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

RELEASES = ("0.30.0", "0.31.0", "0.32.0")

SIMTEL = "gamma_lsts_run7_7.0.0.simtel.zst"


def make(release: str, simtel: Path, output: Path) -> None:
    """Have a release of ctapipe make DL1 of a file."""
    part = output.with_name("part.h5")
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if release != version("ctapipe"):
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--target", folder, f"ctapipe=={release}"], check=True)
            environment["PYTHONPATH"] = folder
        process = [sys.executable, "-m", "ctapipe.tools.process", "--input", simtel]
        process += ["--output", part, "--overwrite", "--write-images", "--write-parameters"]
        subprocess.run(process, check=True, cwd=folder, env=environment)
    part.replace(output)


def main() -> None:
    """Make what is missing, or say why not."""
    folder = Path(sys.argv[1]).resolve()
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    simtel = Path(os.environ.get("GAMMALEARN_TEST_DATA", beside)).resolve() / "simtel" / SIMTEL
    if not simtel.is_file():
        print(f"No files of newer releases of ctapipe: '{simtel}' is not there.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    for release in RELEASES:
        output = folder / f"ctapipe-{release}.dl1.h5"
        if not output.exists():
            print(f"Making '{output}'", flush=True)
            make(release, simtel, output)


if __name__ == "__main__":
    main()

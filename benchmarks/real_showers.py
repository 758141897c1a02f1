"""A network on showers of CORSIKA and sim_telarray that it has never learnt from, one by one.

    python benchmarks/real_showers.py NETWORK FILES -o docs/results

NETWORK is a checkpoint or the name of a shipped network, FILES are DL1 or sim_telarray files of
gammas or protons. What the network says of each event stands beside the truth, in
DIR/real_showers.md. Nothing is fitted to these events.
"""

import argparse
import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz, SkyCoord
from astropy.table import QTable
from ctapipe.io import TableLoader

from gammalearn.errors import EmptySelectionError, GammaLearnError
from gammalearn.io.particles import particle_names
from gammalearn.run.options import RunOptions
from gammalearn.run.reconstruction import predict

HEAD = """\
# Showers of CORSIKA and sim_telarray

`{command}`

The network learnt from showers of GammaLearn's own simulation at 20° from the zenith. These events
are of CORSIKA and sim_telarray. There are few of them, and nothing was fitted to them. The energy
that a network gives depends on the zenith angle: at other angles than 20° it is off.

| file | particle | event | zenith | telescopes | energy (TeV): true, network \
| angle between directions | distance between cores | gammaness |
|---|---|---|---|---|---|---|---|---|
"""


def rows(path: Path) -> list[str]:
    """A row of the table for each reconstructed event of a DL2 file."""
    with TableLoader(path, dl2=True, simulated=True) as loader:
        events = QTable(loader.read_subarray_events())
    found = []
    for event in events[np.isfinite(events["GammaLearn_energy"])]:
        true, reco = (
            SkyCoord(alt=event[f"{whose}_alt"], az=event[f"{whose}_az"], frame=AltAz())
            for whose in ("true", "GammaLearn")
        )
        core = np.hypot(
            *(event[f"GammaLearn_core_{axis}"] - event[f"true_core_{axis}"] for axis in "xy")
        )
        particle = particle_names([event["true_shower_primary_id"]])[0]
        found.append(
            f"| {path.name.split('.dl2')[0]} | {particle} | {event['event_id']} "
            f"| {90 - event['true_alt'].to_value(u.deg):.0f}° "
            f"| {int(np.sum(event['GammaLearn_telescopes']))} "
            f"| {event['true_energy'].to_value(u.TeV):.3g}, "
            f"{event['GammaLearn_energy'].to_value(u.TeV):.3g} "
            f"| {true.separation(reco).deg:.2f}° | {core.to_value(u.m):.0f} m "
            f"| {event['GammaLearn_prediction']:.2f} |"
        )
    return found


def main() -> None:
    """Read the command line, reconstruct each file, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    lines, left_out = [], []
    with tempfile.TemporaryDirectory() as folder:
        for file in options.files:
            try:
                made = predict(
                    options.network, [str(file)], Path(folder), RunOptions(progress=False)
                )
            except EmptySelectionError:
                left_out.append(f"`{file.name}`: no event with images enough for this network")
            except GammaLearnError as error:
                left_out.append(f"`{file.name}`: {error}".replace(str(file), file.name))
            else:
                lines += rows(made[0])
    names = " ".join(file.name for file in options.files)
    command = f"python benchmarks/real_showers.py {Path(options.network).name} {names} -o DIR"
    page = HEAD.format(command=command) + "\n".join(lines) + "\n"
    if left_out:
        page += "\nNot reconstructed:\n\n" + "\n".join(f"- {words}" for words in left_out) + "\n"
    print(page)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "real_showers.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()

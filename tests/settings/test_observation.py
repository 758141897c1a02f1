"""Settings of a mock observation: what they may be, and where they are read from."""

import pytest
import yaml

from gammalearn.errors import SettingsError
from gammalearn.settings import ObservationSettings
from gammalearn.settings.reading import load_observation


@pytest.fixture
def write(tmp_path):
    """A YAML file of settings."""

    def write(**values):
        path = tmp_path / "crab.observation.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def test_an_empty_file_is_a_minute_of_the_crab_nebula(write, tmp_path):
    settings = load_observation(write())
    assert settings == ObservationSettings(output=tmp_path / "crab.dl1.h5")
    assert settings.source.name == "Crab Nebula"
    assert settings.duration == 1
    assert set(settings.diffuse()) == {"proton", "helium", "electron"}


def test_numbers_have_units(write):
    settings = load_observation(
        write(
            duration="90 s",
            wobble_offset="30 arcmin",
            dead_time="0.1 ms",
            pedestal_rate="0.1 kHz",
            source={"spectrum": {"flux": 1e-11, "cutoff": "800 GeV"}},
            proton={"energy": ["200 GeV", "5 TeV"], "scatter": "0.3 km"},
        )
    )
    assert settings.duration == pytest.approx(1.5)
    assert settings.wobble_offset == pytest.approx(0.5)
    assert settings.dead_time == pytest.approx(100)
    assert settings.pedestal_rate == pytest.approx(100)
    assert settings.source.spectrum.cutoff == pytest.approx(0.8)
    assert settings.proton.energy == pytest.approx((0.2, 5))
    assert settings.proton.scatter == pytest.approx((300, 300))


@pytest.mark.parametrize(
    "given", ["2024-12-01T03:20:00", "2024-12-01 04:20:00+01:00", "2024-12-01T03:20"]
)
def test_times_are_in_utc(write, given):
    assert load_observation(write(start=given)).start == "2024-12-01T03:20:00"


def test_particles_that_are_left_out(write):
    values = {"proton": None, "helium": {"energy": [1, 2], "flux_factor": 0}}
    assert set(load_observation(write(**values)).diffuse()) == {"electron"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sorce": {}}, "sorce: no such setting; did you mean 'source'?"),
        ({"source": {"decl": 3}}, "source.decl: no such setting; did you mean 'dec'?"),
        ({"source": {"energy": [1, 0.5]}}, "source.energy: expected two increasing energies"),
        ({"source": {"crab": "veritas"}}, "source.crab"),
        ({"source": {"spectrum": {"flux": -1}}}, "source.spectrum.flux"),
        ({"source": {"spectrum": {"flux": 1, "cutoff": 1, "curvature": -1}}}, "either cutoff or"),
        ({"source": {"spectrum": {"flux": 1}, "crab_units": 2}}, "crab_units is of the Crab's"),
        ({"start": "yesterday"}, "start: expected a time in UTC such as 2024-12-01T03:20:00"),
        ({"start": "1930-01-01"}, "start: expected a time between 1980 and 2100"),
        ({"duration": "3 m"}, "duration"),
        ({"output": "crab.fits"}, "output: expected a name that ends in .h5"),
        ({"dead_pixels": 3}, "dead_pixels"),
        (
            {"source": {"crab_units": 0}, "pedestal_rate": 0}
            | dict.fromkeys(("proton", "helium", "electron")),
            "nothing is to be observed",
        ),
    ],
)
def test_mistakes_are_told(write, values, words):
    with pytest.raises(SettingsError) as error:
        load_observation(write(**values))
    assert words in str(error.value)


def test_a_python_file_defines_an_observation(tmp_path):
    path = tmp_path / "crab.py"
    path.write_text(
        "from gammalearn.settings import ObservationSettings\n"
        "observation = ObservationSettings(output='a.dl1.h5', duration='2 min')\n"
    )
    settings = load_observation(path, {"seed": "7"})
    assert settings == ObservationSettings(output="a.dl1.h5", duration=2, seed=7)
    path.write_text("")
    with pytest.raises(SettingsError, match="must define `observation = ObservationSettings"):
        load_observation(path)

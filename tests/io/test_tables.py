"""Paths of tables: real files of ctapipe and lstchain have them."""

import pytest
import tables

from gammalearn.io import ctapipe_tables, lstchain_tables

#: What files of events as simulations make them do not have.
OF_OTHER_FILES = {"COEFFICIENTS", "DL2", "SUBARRAY_POINTING", "WAVEFORMS"}


def paths(module):
    named = {name: getattr(module, name) for name in module.__all__}
    return {name: path for name, path in named.items() if str(path).startswith("/")}


@pytest.mark.parametrize("name", sorted(set(paths(ctapipe_tables)) - OF_OTHER_FILES))
def test_are_in_a_file_of_ctapipe(name, dl1):
    with tables.open_file(dl1("proton_run202_prod5")) as file:
        assert paths(ctapipe_tables)[name] in file


@pytest.mark.parametrize("name", ["IMAGES", "PARAMETERS", "RUNS", "THROWN"])
def test_are_in_a_file_of_lstchain(name, data_dir):
    path = data_dir / "dl1_lstchain" / "dl1_proton_run202_prod5_4tel.h5"
    with tables.open_file(path) as file:
        assert isinstance(file.get_node(paths(lstchain_tables)[name]), tables.Table)


@pytest.mark.parametrize("tel_id, name", [(1, "tel_001"), (17, "tel_017"), (1234, "tel_1234")])
def test_a_telescope_has_a_table_of_its_own(tel_id, name):
    """As in `ctapipe.io.datawriter`, three digits at least."""
    path = ctapipe_tables.of_telescope("/dl1/event/telescope/images", tel_id)
    assert path == f"/dl1/event/telescope/images/{name}"


def test_pointing_is_in_the_place_of_each_data_model(dl1):
    for name, place in (("ctapipe0.19.3", 1),):
        with tables.open_file(dl1(f"proton_run202_prod5.{name}")) as file:
            assert ctapipe_tables.MONITORED_POINTING[place] in file

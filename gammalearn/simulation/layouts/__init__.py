"""Arrays known by name, one YAML file each, which `gammalearn.simulation.instrument` reads."""

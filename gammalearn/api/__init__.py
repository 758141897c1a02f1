"""What a notebook imports, by way of :mod:`gammalearn`: a door to what the commands call."""

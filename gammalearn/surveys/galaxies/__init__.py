"""What surveys of galaxies by their cut-outs share: selection, photometry, spectra and images."""

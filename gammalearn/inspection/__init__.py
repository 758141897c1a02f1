"""Looking at files, settings and the installation, without running anything."""

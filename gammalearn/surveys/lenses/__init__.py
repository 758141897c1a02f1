"""Strong lenses: arcs around galaxies, by cut-outs in several bands."""

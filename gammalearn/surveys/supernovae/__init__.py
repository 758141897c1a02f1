"""Supernovae: type Ia or not, and the type, from irregular light curves in several bands."""

"""``python -m gammalearn`` is ``gammalearn``."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())

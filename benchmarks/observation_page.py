"""The page of the mock flare: observation.md."""

__all__ = ["page"]

HEAD = """\
# A mock flare

`{command}`, {machine}

A source like the Crab Nebula with {crab_units:g} times its flux is observed for {minutes:g} min,
0.4° beside the pointing, 20° from the zenith. Gammas, protons, helium and electrons arrive at their
true rates ([Simulate an observation](../howto/observe.md)). The shipped network `{network}`
reconstructs the events. ctapipe's tools compute the response from other simulated events.
[DL3](../howto/dl3.md) is made of both, and gammapy measures the source with reflected regions of
0.2°. [The tutorial](../tutorials/observation.md) has the single steps.

The simulation has protons above 0.4 TeV and within 2° only, so there is less background than in
the sky.

| quantity | measured | put in | deviation (σ) |
|---|---|---|---|
{rows}
{n_on} events are in the region of the source, and {n_off} in the regions of the background (factor
{alpha:.3f}). The excess of {excess:.0f} events has a significance of {significance:.1f} σ (Li & Ma
1983). The livetime is {livetime:.1f} s.

![Events against θ²](observation_theta2.png)

![Spectrum](observation_spectrum.png)
"""

DRAWN = """
## Many observations

{seeds} observations of {minutes:g} min of the same source, and as many of an empty sky, are drawn
from simulated gammas and protons that passed the cuts. They are no new simulations: each event
comes as often as a Poisson number says, with the rate that it stands for. Protons are turned around
the pointing at random.

Pulls are measured less true values, over their errors. For an unbiased measurement with right
errors, their mean is 0 and their width is 1. The significances of an empty sky have mean 0 and
width 1.

- *Events of the response* are those that the response was made of. They test the chain from DL3 to
  the spectrum: the response is exactly that of these events.
- *Other events* are those of new simulations. Both sets of events are finite, and they differ by
  chance. The difference is the same in all observations and moves the mean of the pulls. More
  simulated events make it smaller.

| drawn from | quantity | mean | width | beyond 2 σ |
|---|---|---|---|---|
{rows}"""


def page(results: dict, command: str) -> str:
    """The page of the results.

    Parameters
    ----------
    results : dict
        As in observation.json.
    command : str
        That they come from.
    """
    one, true = results["observation"], results["truth"]
    names = {
        "flux": (f"flux at {results['reference']} (10⁻¹⁰ / (cm² s TeV))", 1e10),
        "index": ("index", 1.0),
    }
    rows = ""
    for name, (words, factor) in names.items():
        value, error, put_in = one[name], one[f"{name}_error"], true[name]
        rows += (
            f"| {words} | {factor * value:.2f} ± {factor * error:.2f} | {factor * put_in:.2f} | "
            f"{(value - put_in) / error:+.1f} |\n"
        )
    text = HEAD.format(command=command, rows=rows, **results, **one)
    drawn = results.get("drawn")
    return text if drawn is None else text + _of_draws(drawn)


def _of_draws(drawn: dict) -> str:
    rows = "".join(
        f"| {pool} ({of_pool['gammas']} gammas, {of_pool['protons']} protons) | {name} | "
        f"{figures['mean']:+.2f} ± {figures['mean_error']:.2f} | "
        f"{figures['width']:.2f} ± {figures['width_error']:.2f} | "
        f"{figures['beyond']} of {drawn['seeds']} |\n"
        for pool, of_pool in drawn["pools"].items()
        for name, figures in of_pool["figures"].items()
    )
    return DRAWN.format(**{**drawn, "rows": rows})

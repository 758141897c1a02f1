"""The baseline's trees with the true direction and core of each shower: no reconstruction."""

from study_network import contender

# Direction and core are given, so that there are no results of them.
_all = contender()
experiment = _all.model_copy(
    update={"tasks": {name: _all.tasks[name] for name in ("particle_type", "energy")}}
)

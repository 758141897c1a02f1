"""Energy, learnt with a pause before each step: a training lasts on any machine as long as a test
needs, and keeps no core busy."""

import os
import time

from gammalearn.tasks.energy import EnergyTask


class PatientEnergy(EnergyTask):
    name = "patient_energy"

    def loss(self, output, target):
        time.sleep(float(os.environ.get("PAUSE", 0)))
        return super().loss(output, target)

# SPDX-License-Identifier: MIT
"""Write the models of ``helpers.py`` for tests where there is no torch to make them.

    PYTHONPATH=tests python tests/data/models/make.py

after a change of these models, or of the format of the kernels' programs.
"""

from pathlib import Path

from helpers import water_model
from mixed_helpers import organic_model

from openmm_allegro import save_model

MODELS = {
    "water5": water_model,
    "water1": lambda: water_model(seed=1),
    "organic": organic_model,
}

if __name__ == "__main__":
    for name, make in MODELS.items():
        save_model(make(), Path(__file__).with_name(f"{name}.safetensors"))

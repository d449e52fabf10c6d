# SPDX-License-Identifier: MIT
"""Trainings of search.py: what each changes of search/base.toml."""

STUDIES = {"fast": (950, 20), "few": (200, 200)}  # frames, epochs
TWICE = {
    "num_scalar_features": 128,
    "num_tensor_features": 64,
    "two_body_width": 128,
    "latent_width": 128,
    "readout_width": 64,
}
THREE_TIMES = {key: 3 * value // 2 for key, value in TWICE.items()}
FOUR_TIMES = {key: 2 * value for key, value in TWICE.items()}
TWO_HIDDEN = {"two_body_depth": 2, "latent_depth": 2}
NEITHER = {"weight_decay": 0.0, "fix_linear_chains": False}
VARIANTS: dict[str, dict] = {
    "base": {},
    "base, again": {},  # later, by code that rounds otherwise
    "mse": {"forces_loss": "mse"},
    "mse, rate 0.007, momentum 0.95, neither": NEITHER
    | {"forces_loss": "mse", "learning_rate": 0.007, "momentum": 0.95},
    "mse, Adam, rate 0.01, neither": NEITHER
    | {"forces_loss": "mse", "optimizer": "adam", "learning_rate": 0.01},
    "Adam, rate 0.002": {"optimizer": "adam", "learning_rate": 0.002},
    "Adam, rate 0.005": {"optimizer": "adam", "learning_rate": 0.005},
    "Adam, rate 0.01": {"optimizer": "adam", "learning_rate": 0.01},
    "rate 0.0018": {"learning_rate": 0.0018},
    "momentum 0.95": {"momentum": 0.95},
    "rate 0.005": {"learning_rate": 0.005},
    "rate 0.01": {"learning_rate": 0.01},
    "batch 2": {"batch_size": 2},
    "batch 10": {"batch_size": 10},
    "batch 10, rate 0.01": {"batch_size": 10, "learning_rate": 0.01},
    "l_max 1": {"l_max": 1},
    "l_max 2": {"l_max": 2},
    "1 layer": {"num_layers": 1},
    "3 layers": {"num_layers": 3},
    "32 scalars, 16 tensors": {"num_scalar_features": 32, "num_tensor_features": 16},
    "16 tensors": {"num_tensor_features": 16},
    "128 scalars": {"num_scalar_features": 128},
    "no odd parity": {"parity": False},
    "cutoff 5": {"cutoff": 5.0},
    "envelope 2": {"envelope_p": 2.0},
    "16 Bessel functions": {"num_bessels": 16},
    "energy weight 100": {"energy_weight": 100.0},
    "energy weight 3000": {"energy_weight": 3000.0},
    # Late weights: in the last quarter of the epochs.
    "energy weight 100 at the end": {"late_weights": (100.0, 1.0, 0.0)},
    "energy weight 3000 at the end": {"late_weights": (3000.0, 1.0, 0.0)},
    "no averaging": {"ema_decay": 0.0},
    "averaging 0.999": {"ema_decay": 0.999},
    "averaging 0.98": {"ema_decay": 0.98},
    "rate falling to a fifth": {"final_rate": 0.2},
    "constant rate": {"schedule": "constant"},
    "plateau": {"schedule": "plateau", "warmup_steps": 0, "plateau_patience": 2},
    "two hidden layers": TWO_HIDDEN,
    "64 tensors": {"num_tensor_features": 64},
    "128 scalars and hidden": {
        "num_scalar_features": 128,
        "two_body_width": 128,
        "latent_width": 128,
    },
    "all of it twice as wide": TWICE,
    "twice as wide, 3 layers": TWICE | {"num_layers": 3},
    "twice as wide, l_max 2": TWICE | {"l_max": 2},
    "twice as wide, l_max 4": TWICE | {"l_max": 4},
    "twice as wide, two hidden layers": TWICE | TWO_HIDDEN,
    "twice as wide, 16 Bessel functions": TWICE | {"num_bessels": 16},
    "twice as wide, envelope 2": TWICE | {"envelope_p": 2.0},
    "twice as wide, cutoff 5": TWICE | {"cutoff": 5.0},
    "twice as wide, no weight decay": TWICE | {"weight_decay": 0.0},
    "twice as wide, weight decay 0.003": TWICE | {"weight_decay": 0.003},
    "twice as wide, weight decay 0.03": TWICE | {"weight_decay": 0.03},
    "twice as wide, neither": TWICE | NEITHER,
    "twice as wide, rate 0.002": TWICE | {"learning_rate": 0.002},
    "twice as wide, rate 0.007": TWICE | {"learning_rate": 0.007},
    "twice as wide, momentum 0.95": TWICE | {"momentum": 0.95},
    "twice as wide, momentum 0.95, rate 0.007": TWICE
    | {"momentum": 0.95, "learning_rate": 0.007},
    "twice as wide, momentum 0.995": TWICE | {"momentum": 0.995},
    "twice as wide, momentum 0.98": TWICE | {"momentum": 0.98},
    "twice as wide, momentum 0.98, rate 0.005": TWICE
    | {"momentum": 0.98, "learning_rate": 0.005},
    "twice as wide, rate 0.005, warmup 1000": TWICE
    | {"learning_rate": 0.005, "warmup_steps": 1000},
    "twice as wide, weight decay 0.1": TWICE | {"weight_decay": 0.1},
    "twice as wide, averaging 0.999": TWICE | {"ema_decay": 0.999},
    "twice as wide, three hidden layers": TWICE
    | {"two_body_depth": 3, "latent_depth": 3},
    "twice as wide, 3 layers, momentum 0.95": TWICE
    | {"num_layers": 3, "momentum": 0.95},
    "twice as wide, energy weight 100": TWICE | {"energy_weight": 100.0},
    "twice as wide, seed 2": TWICE | {"seed": 2},
    "three times as wide, two hidden layers": THREE_TIMES | TWO_HIDDEN,
    "four times as wide": FOUR_TIMES,
    "four times as wide, 3 layers": FOUR_TIMES | {"num_layers": 3},
    "four times as wide, two hidden layers": FOUR_TIMES | TWO_HIDDEN,
    "l_max 4": {"l_max": 4},
    "cutoff 4.5": {"cutoff": 4.5},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay 0.03": {"weight_decay": 0.03},
    "weight decay 0.1": {"weight_decay": 0.1},
    "linear chains trained": {"fix_linear_chains": False},
    "neither decay nor fixed maps": NEITHER,
    "seed 2": {"seed": 2},
}

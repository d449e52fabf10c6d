# SPDX-License-Identifier: MIT
"""End a training whose loss has gone up for good, before it takes its hours."""

from typing import Any

import lightning.pytorch as pl

from .config import LossWeights, TrainConfig

# A spike of a few batches is far below the first, and a training that recovers from a
# larger one does so within an epoch or two.
FACTOR = 10.0
EPOCHS = 3


class Divergence:
    """Losses of epochs, in comparison with the lowest so far.

    Parameters
    ----------
    config : TrainConfig
        Names the settings of the message.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.weights: list[float] = []
        self.lowest, self.high = float("inf"), 0

    def check(self, loss: float, weights: LossWeights) -> None:
        """Take the loss of an epoch.

        Raises
        ------
        ValueError
            If it is the third in a row that is ten times the lowest.
        """
        if list(weights) != self.weights:  # losses with other weights do not compare
            self.weights, self.lowest, self.high = list(weights), float("inf"), 0
        self.high = self.high + 1 if loss > FACTOR * self.lowest else 0
        self.lowest = min(self.lowest, loss)
        if self.high < EPOCHS:
            return
        config = self.config
        remedy = f"a learning_rate below {config.learning_rate:g}"
        if config.optimizer == "muon":
            remedy += f" or a momentum below {config.momentum:g}"
        raise ValueError(
            "training: expected a loss that falls, found it at "
            f"{loss / self.lowest:.0f} times its lowest for {EPOCHS} epochs: the "
            f"training has diverged; train anew with {remedy} (the best model before "
            "is kept)"
        )

    def state(self) -> dict[str, Any]:
        """Collect what a checkpoint keeps."""
        return {"weights": self.weights, "lowest": self.lowest, "high": self.high}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint kept."""
        self.weights, self.lowest = list(state["weights"]), state["lowest"]
        self.high = state["high"]


class DivergenceCheck(pl.Callback):
    """Check each epoch of a training that Lightning runs.

    It comes before the checkpoint of the epoch is written.

    Parameters
    ----------
    config : TrainConfig
    """

    def __init__(self, config: TrainConfig) -> None:
        self.losses = Divergence(config)

    def state_dict(self) -> dict[str, Any]:
        """Collect what a checkpoint keeps."""
        return self.losses.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint kept."""
        self.losses.load(state)

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Check the loss of the epoch that was validated."""
        self.losses.check(module.epoch_loss(), module.weights)

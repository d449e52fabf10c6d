# SPDX-License-Identifier: MIT
"""Settings of a training and names of its data: two tables of a TOML file."""

from dataclasses import dataclass
from typing import NamedTuple

from ..utils.config import check_types

OPTIMIZERS = ("adam", "muon")
FORCES_LOSSES = ("mse", "l2mae")
SCHEDULES = ("cosine", "plateau", "constant")
DTYPES = ("float32", "float64")
DEVICES = ("auto", "cpu", "cuda")


class LossWeights(NamedTuple):
    """Of the mean squared errors, see ``TrainConfig``."""

    energy: float
    forces: float
    stress: float


@dataclass(frozen=True)
class TrainConfig:
    """How to train; field for field the ``[train]`` table of a TOML.

    Parameters
    ----------
    seed : int
        Of initial weights and of the order of the samples, at least 0.
    max_epochs, batch_size : int
    optimizer : str
        "adam", or "muon" (see ``optimizers.Muon``), which needs a fraction of the
        epochs, at rates around 0.01.
    momentum : float
        Of Muon's steps, below 1; more of it averages over more batches.
    learning_rate : float
    weight_decay : float
        Times the rate, the fraction that weights lose in each step: those that "muon"
        makes orthogonal steps of, or, of "adam", all but the Bessel functions' roots.
    fix_linear_chains : bool
        Whether the first of two linear layers in a row stays the orthogonal matrix it
        starts as, where that costs nothing: after hidden layers that are at most
        ``num_scalar_features`` wide. See ``linear_chains``.
    warmup_steps : int
        Steps over which the rate rises linearly from zero; not with "plateau".
    schedule : str
        "cosine" to ``final_rate`` of the rate over all epochs, "plateau" on the
        validation score, or "constant".
    final_rate : float
        Fraction of the rate at which a cosine or plateau schedule ends.
    plateau_patience : int
        Epochs without a better score before the rate falls by ``plateau_factor``.
    plateau_factor : float
    energy_weight, forces_weight, stress_weight : float
        Of the mean squared errors of energies per atom (eV²), force components
        ((eV/Å)²) and stress components ((eV/Å³)²).
    late_epoch : int
        Epoch, counted from 0, from which ``late_weights`` hold in the place of these; 0
        for never. A usual second stage gives the energy more weight (Batatia et al.,
        doi:10.48550/arXiv.2206.07697). Scores are those of the late weights all along,
        so that neither "plateau" nor early stopping goes with them.
    late_weights : tuple of float
        Of energies, forces and stress.
    forces_loss : str
        "mse", or "l2mae" for the mean length (eV/Å) of an atom's force error in the
        place of the mean square (Gasteiger et al., doi:10.48550/arXiv.2106.08903).
    ema_decay : float
        Of the exponential moving average of the weights, below 1; 0 for none. The
        averaged weights are validated and saved.
    gradient_clip : float
        Largest norm of the gradient; 0 for no limit.
    early_stop_patience : int
        Epochs without a better score after which training ends; 0 for never.
    dtype : str
        "float32" or "float64".
    device : str
        "cpu", "cuda", or "auto" for CUDA where it is available.
    compile : bool
        Whether to compile the training step: a minute or two at the start, a quarter to
        a half off each step. Needs structures of one size and, on a CPU, a compiler.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    seed: int = 0
    max_epochs: int = 100
    batch_size: int = 4
    optimizer: str = "adam"
    momentum: float = 0.98
    learning_rate: float = 0.005
    weight_decay: float = 0.0
    fix_linear_chains: bool = False
    warmup_steps: int = 200
    schedule: str = "cosine"
    final_rate: float = 0.01
    plateau_patience: int = 25
    plateau_factor: float = 0.5
    energy_weight: float = 1.0
    forces_weight: float = 1.0
    stress_weight: float = 0.0
    late_epoch: int = 0
    late_weights: tuple[float, ...] = ()
    forces_loss: str = "mse"
    ema_decay: float = 0.99
    gradient_clip: float = 0.0
    early_stop_patience: int = 0
    dtype: str = "float32"
    device: str = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        check_types(self, "train config")
        limits = {
            "seed": (0, 2**32 - 1),
            "max_epochs": (1, None),
            "batch_size": (1, None),
            "warmup_steps": (0, None),
            "final_rate": (0.0, 1.0),
            "plateau_patience": (0, None),
            "plateau_factor": (0.0, 1.0),
            "energy_weight": (0.0, None),
            "forces_weight": (0.0, None),
            "stress_weight": (0.0, None),
            "late_epoch": (0, None),
            "momentum": (0.0, 1.0),
            "weight_decay": (0.0, None),
            "ema_decay": (0.0, 1.0),
            "gradient_clip": (0.0, None),
            "early_stop_patience": (0, None),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value < low or (high is not None and value > high):
                upper = "" if high is None else f" and at most {high}"
                raise ValueError(
                    f"train config: expected {name} of at least {low}{upper}, found "
                    f"{value}"
                )
        if self.learning_rate <= 0:
            raise ValueError(
                "train config: expected learning_rate above 0, found "
                f"{self.learning_rate}"
            )
        if self.learning_rate * self.weight_decay >= 1:
            raise ValueError(
                "train config: expected weight_decay below 1 / learning_rate = "
                f"{1 / self.learning_rate:g}, found {self.weight_decay}"
            )
        for name in ("ema_decay", "momentum", "plateau_factor"):
            if getattr(self, name) == 1:
                raise ValueError(f"train config: expected {name} below 1, found 1.0")
        if self.plateau_factor == 0:
            raise ValueError("train config: expected plateau_factor above 0, found 0.0")
        self._check_late()
        if any(sum(weights) == 0 for weights in self.stages()):
            raise ValueError(
                "train config: expected a weight above 0, found only zeros"
            )
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("forces_loss", FORCES_LOSSES),
            ("schedule", SCHEDULES),
            ("dtype", DTYPES),
            ("device", DEVICES),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"train config: expected {name} of {known}, found "
                    f"{getattr(self, name)!r}"
                )

    def _check_late(self) -> None:
        if self.late_epoch == 0:
            if self.late_weights:
                raise ValueError(
                    "train config: expected no late_weights because late_epoch = 0, "
                    f"found {self.late_weights}"
                )
            return
        if len(self.late_weights) != 3 or min(self.late_weights) < 0:
            raise ValueError(
                "train config: expected three late_weights of at least 0 because "
                f"late_epoch = {self.late_epoch}, found {self.late_weights}"
            )
        if self.late_epoch >= self.max_epochs:
            raise ValueError(
                "train config: expected a late_epoch below max_epochs = "
                f"{self.max_epochs}, found {self.late_epoch}"
            )
        if self.schedule == "plateau" or self.early_stop_patience:
            raise ValueError(
                "train config: expected another schedule than plateau and no "
                "early_stop_patience beside a late_epoch, whose scores say nothing of "
                f"the time before it, found schedule = {self.schedule!r} and "
                f"early_stop_patience = {self.early_stop_patience}"
            )

    def stages(self) -> list[LossWeights]:
        """Weights of the loss, one set after the other."""
        first = LossWeights(self.energy_weight, self.forces_weight, self.stress_weight)
        return [first, LossWeights(*self.late_weights)] if self.late_epoch else [first]

    def weights_of(self, epoch: int) -> LossWeights:
        """Weights of the loss in an epoch, counted from 0."""
        return self.stages()[-1 if epoch >= self.late_epoch else 0]


@dataclass(frozen=True)
class DataConfig:
    """Where the data is; field for field the ``[data]`` table of a TOML.

    Parameters
    ----------
    training : tuple of str
        Files that ase can read, relative to the TOML's folder.
    validation : tuple of str
        Files to validate on. If empty, ``validation_size`` random frames of the
        training files are held out.
    test : tuple of str
        Files to test on after training.
    validation_size : int
    split_seed : int
    baseline : tuple of str
        Files of serialized Systems, one for each composition, of a force field around
        which to train: what they say of a structure is subtracted from its labels.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_size: int = 0
    split_seed: int = 0
    baseline: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self, "data config")

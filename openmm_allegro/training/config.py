# SPDX-License-Identifier: MIT
"""Settings of a training and names of its data: two tables of a TOML file."""

from dataclasses import dataclass
from typing import NamedTuple

from ..structure.labels.settings import LabelSettings
from ..utils.settings import check_settings, setting, setting_of, settings_of

# By default: the weight of stresses where the training set has any, and bounds of the
# warm-up, in steps and as a part of all steps.
STRESS_WEIGHT = 10_000.0  # Å⁶/eV²
WARMUP_STEPS, WARMUP_PART = 200, 0.05

# Settings that a model without charges does not have.
OF_CHARGES = ("dipole_weight", "charge_weight")
OPTIMIZERS = ("adam", "muon")
FORCES_LOSSES = ("mse", "l2mae", "huber")
ENERGY_LOSSES = ("mse", "huber")
SCHEDULES = ("cosine", "plateau", "constant")
DTYPES = ("float32", "float64")
DEVICES = ("auto", "cpu", "cuda")
REPLAY_LEVELS = ("same", "other")


class LossWeights(NamedTuple):
    """Weights of the errors of energies, forces and stresses in the loss."""

    energy: float
    forces: float
    stress: float


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training; field for field the ``[train]`` table of a TOML.

    docs/train.md has the table of all settings and says when to use which.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    seed: int = setting(
        0,
        about="Seed of the initial weights and of the order of the samples",
        minimum=0,
        maximum=2**32 - 1,
    )
    max_epochs: int = setting(
        100, about="Largest number of epochs", minimum=1, maximum=10**8, may_change=True
    )
    max_hours: float = setting(
        0.0,
        about="Hours of training after which max_epochs is lowered and the rate falls "
        "faster, where epochs take longer than that; 0 for no limit",
        minimum=0,
        maximum=1e6,
        may_change=True,
    )
    epoch_size: int = setting(
        0,
        about="Structures of an epoch, after which the model is validated and saved: a "
        "part of the training set, or several passes over it; 0 for one pass",
        minimum=0,
        maximum=10**9,
    )
    batch_size: int = setting(
        4, about="Structures in a batch", minimum=1, maximum=10**8
    )
    optimizer: str = setting(
        "muon",
        about="Adam, or Muon, which needs a fraction of the epochs",
        choices=OPTIMIZERS,
    )
    momentum: float = setting(
        0.98,
        about="Momentum of Muon's steps; more of it averages over more batches",
        minimum=0,
        below=1,
    )
    learning_rate: float = setting(
        0.005, about="Learning rate after the warm-up", above=0, maximum=100
    )
    weight_decay: float = setting(
        0.01,
        about="Fraction, times the rate, that weights lose in each step: those that "
        "Muon makes orthogonal steps of, or, with Adam, all but the Bessel roots",
        minimum=0,
        maximum=1e6,
    )
    fix_linear_chains: bool = setting(
        True,
        about="Leave the first of two linear layers in a row at the orthogonal matrix "
        "that it starts as, after hidden layers of at most num_scalar_features",
    )
    warmup_steps: int | None = setting(
        None,
        about="Steps in which the rate rises linearly from zero, by default 200 but at "
        "most a twentieth of all; none with plateau",
        minimum=0,
        maximum=10**9,
    )
    schedule: str = setting(
        "cosine",
        about="Rate over the epochs: a cosine to final_rate, reduced when the "
        "validation score no longer improves, or constant",
        choices=SCHEDULES,
    )
    final_rate: float = setting(
        0.005,
        about="Fraction of the rate at which a cosine or plateau schedule ends",
        minimum=0,
        maximum=1,
    )
    plateau_patience: int = setting(
        25,
        about="Epochs without a better score before a plateau schedule reduces the "
        "rate",
        minimum=0,
        maximum=10**8,
    )
    plateau_factor: float = setting(
        0.5, about="Factor by which it reduces the rate", above=0, below=1
    )
    energy_weight: float = setting(
        1.0,
        about="Weight of the error of energies",
        unit="1/eV²",
        minimum=0,
        maximum=1e12,
    )
    forces_weight: float = setting(
        1.0,
        about="Weight of the error of forces",
        unit="Å²/eV²",
        minimum=0,
        maximum=1e12,
    )
    stress_weight: float | None = setting(
        None,
        about="Weight of the mean square error of stress components, by default 10,000 "
        "where the training set has any other than zero",
        unit="Å⁶/eV²",
        minimum=0,
        maximum=1e12,
    )
    dipole_weight: float = setting(
        0.0,
        about="Weight of the mean square error of dipole components of molecules; for "
        "models with charges",
        unit="1/(e Å)²",
        minimum=0,
        maximum=1e12,
    )
    charge_weight: float = setting(
        0.0,
        about="Weight of the mean square error of charges of atoms, likewise",
        unit="1/e²",
        minimum=0,
        maximum=1e12,
    )
    late_epoch: int = setting(
        0,
        about="Epoch, counted from 0, from which late_weights hold; 0 for never",
        minimum=0,
        maximum=10**8,
    )
    late_weights: tuple[float, ...] = setting(
        (),
        about="Later weights of energies, forces and stresses",
        minimum=0,
        maximum=1e12,
    )
    forces_loss: str = setting(
        "l2mae",
        about="Error of forces: the mean square of components, the mean length of an "
        "atom's error (l2mae, weight in Å/eV), or the mean of Huber's function of that "
        "length",
        choices=FORCES_LOSSES,
    )
    energy_loss: str = setting(
        "mse",
        about="Error of energies: the mean square, or the mean of Huber's function",
        choices=ENERGY_LOSSES,
    )
    energy_per_atom: bool = setting(
        True,
        about="Divide each error of an energy in the loss by the number of atoms, as "
        "suits periodic systems; molecules of one size class may do without",
    )
    huber_delta: float = setting(
        0.01,
        about="Length of an error of forces, and size of one of energies in eV, up to "
        "which Huber's function is half its square; beyond, it is a straight line",
        unit="eV/Å",
        above=0,
        maximum=1e6,
    )
    element_weights: dict[str, float] = setting(
        {},
        about="Factors of the force errors of atoms by element, in loss and score; 1 "
        "without",
        minimum=0,
        maximum=1e12,
    )
    ema_decay: float = setting(
        0.995,
        about="Largest decay of the moving average of the weights, whose window is a "
        "fiftieth of the steps at first; it is validated and saved unless the current "
        "weights are better; 0 for no average",
        minimum=0,
        below=1,
    )
    gradient_clip: float = setting(
        0.0,
        about="Largest norm of the gradient; 0 for no limit",
        minimum=0,
        maximum=1e12,
    )
    early_stop_patience: int = setting(
        0,
        about="Epochs without a better score after which training ends; 0 for never",
        minimum=0,
        maximum=10**8,
    )
    freeze: tuple[str, ...] = setting(
        (),
        about="Parts of a model to start from that stay as they are: embedding, "
        "two_body, layer_1 and so on, readout",
    )
    refit_shifts: bool = setting(
        True,
        about="Fit the energies of elements to the training frames after the training, "
        "and those of a model to start from before it, too",
    )
    replay_fraction: float = setting(
        0.5, about="Share of replayed frames in each epoch", above=0, below=1
    )
    replay_level: str | None = setting(
        None,
        about="Level of theory of replayed frames: that of the training frames, or "
        "another, and their energies are moved as those of the elements are; if none, "
        "the same unless the energies contradict it",
        choices=REPLAY_LEVELS,
    )
    dtype: str = setting("float32", about="Precision of the network", choices=DTYPES)
    device: str = setting(
        "auto",
        about="Device; auto takes CUDA where there is any",
        choices=DEVICES,
        may_change=True,
    )
    devices: int = setting(
        1,
        about="Number of devices, GPUs or processes on a CPU, that share each step; "
        "the batch of a step is as many times batch_size",
        minimum=1,
        maximum=1024,
    )
    compile: bool = setting(
        False,
        about="Compile the training step, which takes a minute or two once; needs "
        "structures of one size and, on a CPU, a C++ compiler",
        may_change=True,
    )

    def __post_init__(self) -> None:
        check_settings(self, "train config")
        if self.learning_rate * self.weight_decay >= 1:
            raise ValueError(
                "train config: expected weight_decay below 1 / learning_rate = "
                f"{1 / self.learning_rate:g}, found {self.weight_decay}"
            )
        if self.devices > 1 and self.compile:
            raise ValueError(
                "train config: expected compile = false with several devices, whose "
                f"losses have parts in common, found devices = {self.devices}"
            )
        self._check_late()
        if any(sum(weights) == 0 for weights in self.stages()):
            raise ValueError(
                "train config: expected a weight above 0, found only zeros"
            )

    def _check_late(self) -> None:
        if self.late_epoch == 0:
            if self.late_weights:
                raise ValueError(
                    "train config: expected no late_weights because late_epoch = 0, "
                    f"found {self.late_weights}"
                )
            return
        if len(self.late_weights) != 3:
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
                "early_stop_patience beside a late_epoch, because scores have the late "
                "weights from the start, found schedule = "
                f"{self.schedule!r} and early_stop_patience = "
                f"{self.early_stop_patience}"
            )

    def stages(self) -> list[LossWeights]:
        """Weights of the loss, one set after the other."""
        stress = self.stress_weight or 0.0
        first = LossWeights(self.energy_weight, self.forces_weight, stress)
        return [first, LossWeights(*self.late_weights)] if self.late_epoch else [first]

    def warmup(self, steps: int) -> int:
        """Steps of the warm-up of a training of so many steps."""
        if self.warmup_steps is not None:
            return self.warmup_steps
        return min(WARMUP_STEPS, int(WARMUP_PART * steps))

    def weights_of(self, epoch: int) -> LossWeights:
        """Weights of the loss in an epoch, counted from 0."""
        return self.stages()[-1 if epoch >= self.late_epoch else 0]


@dataclass(frozen=True)
class DataConfig:
    """Files of a training; field for field the ``[data]`` table of a TOML.

    Paths are relative to the folder of the TOML. docs/train.md has the table.
    """

    training: tuple[str, ...] = setting(about="Files to train on, that ase can read")
    validation: tuple[str, ...] = setting(
        (), about="Files to validate on; if none, random frames of the training files"
    )
    test: tuple[str, ...] = setting((), about="Files to test on after training")
    validation_size: int = setting(
        0,
        about="Number of frames of the training files to validate on",
        minimum=0,
        maximum=10**9,
    )
    split_seed: int = setting(
        0, about="Seed of the choice of those frames", minimum=0, maximum=2**63 - 1
    )
    start_from: str | None = setting(
        None, about="Model file whose weights the training starts from"
    )
    replay: tuple[str, ...] = setting(
        (),
        about="Files of frames that this model was trained on, to train on beside the "
        "new ones",
    )
    baseline: tuple[str, ...] = setting(
        (),
        about="Files of serialized Systems, one for each composition, of a force field "
        "whose energies, forces and stresses are subtracted from the labels",
    )
    energy_key: str | None = setting_of(LabelSettings, "energy_key")
    forces_key: str | None = setting_of(LabelSettings, "forces_key")
    stress_key: str | None = setting_of(LabelSettings, "stress_key")
    virial_key: str | None = setting_of(LabelSettings, "virial_key")
    dipole_key: str | None = setting_of(LabelSettings, "dipole_key")
    charges_key: str | None = setting_of(LabelSettings, "charges_key")
    energy_unit: str = setting_of(LabelSettings, "energy_unit")
    length_unit: str = setting_of(LabelSettings, "length_unit")
    forces_unit: str | None = setting_of(LabelSettings, "forces_unit")
    stress_unit: str | None = setting_of(LabelSettings, "stress_unit")
    use_weights: bool = setting_of(LabelSettings, "use_weights")
    file_weights: dict[str, float] = setting(
        {},
        about="Factors of the weights of all frames of a file, by its name in training "
        "or validation; 1 without",
        minimum=0,
        maximum=1e12,
    )

    def __post_init__(self) -> None:
        check_settings(self, "data config")
        listed = (*self.training, *self.validation)
        unknown = [name for name in self.file_weights if name not in listed]
        if unknown:
            raise ValueError(
                "data config: expected file_weights of files in training or validation "
                f"({', '.join(listed)}), found {', '.join(unknown)}"
            )
        self.labels()

    def labels(self) -> LabelSettings:
        """Names and units of the labels in all files."""
        names = settings_of(LabelSettings)
        return LabelSettings(**{name: getattr(self, name) for name in names})

# SPDX-License-Identifier: MIT
"""Settings of a loop of active learning: tables of a TOML file."""

from dataclasses import dataclass

from ..structure.labels.settings import LabelSettings
from ..utils.settings import check_settings, documented, setting

PICKS = ("committee", "random")
SOURCES = ("command", "ase", "pool")
DYNAMICS = ("mean", "member")


@documented
@dataclass(frozen=True)
class LoopConfig:
    """The ``[learn]`` table of a loop; paths are relative to its file.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    start_from: tuple[str, ...] = setting(
        (),
        about="Model files that the members are fine-tuned from, in turn; if none, the "
        "members begin with random weights, and [model] says of which network",
    )
    members: int = setting(
        3, about="Models of the committee", minimum=2, maximum=64, may_change=False
    )
    training: tuple[str, ...] = setting(
        (), about="Files of labelled frames to begin with"
    )
    validation: tuple[str, ...] = setting(
        (),
        about="Files of labelled frames that choose the best epoch of each member; if "
        "none, each member has a part of the frames of its own",
    )
    validation_part: float = setting(
        0.1, about="That part of the frames, at least one", above=0, maximum=0.5
    )
    test: tuple[str, ...] = setting(
        (), about="Files of labelled frames that no member ever sees (held out)"
    )
    replay: tuple[str, ...] = setting(
        (), about="Files of frames that the models of start_from were trained on"
    )
    rounds: int = setting(
        10,
        about="Largest number of rounds of labelling",
        minimum=1,
        maximum=10_000,
        may_change=True,
    )
    frames: int = setting(
        20, about="Frames that each round labels", minimum=1, maximum=10**6
    )
    budget: int = setting(
        0,
        about="Largest number of frames that the loop labels, 0 for no limit",
        minimum=0,
        maximum=10**9,
        may_change=True,
    )
    pick: str = setting(
        "committee",
        about="How frames are picked: by the committee's disagreement and novelty, or "
        "at random, which is the baseline to compare with",
        choices=PICKS,
    )
    least_distance: float = setting(
        0.2,
        about="Distance to the nearest frame that is labelled or picked, below which a "
        "frame is a near-duplicate, in medians of the distances of the candidates; 0 "
        "to leave none out",
        minimum=0,
        maximum=10,
    )
    largest_deviation_ev_a: float = setting(
        0.0,
        about="Deviation of the force on an atom above which a frame is broken, and "
        "not picked; 0 for no limit",
        unit="eV/Å",
        minimum=0,
        maximum=1e6,
    )
    target_error_mev_a: float = setting(
        0.0,
        about="Stop when the RMSE of forces of the test frames is at most this; 0 for "
        "no such rule",
        unit="meV/Å",
        minimum=0,
        maximum=1e6,
        may_change=True,
    )
    target_deviation_mev_a: float = setting(
        0.0,
        about="Stop when nine in ten candidates have no atom of a larger deviation; 0 "
        "for no such rule. Of two rules both have to hold",
        unit="meV/Å",
        minimum=0,
        maximum=1e6,
        may_change=True,
    )
    seed: int = setting(
        0, about="Seed of explorations, splits and picks", minimum=0, maximum=2**31 - 2
    )

    def __post_init__(self) -> None:
        check_settings(self, "learn")
        if self.target_error_mev_a and not self.test:
            raise ValueError(
                "learn: expected test frames beside target_error_mev_a = "
                f"{self.target_error_mev_a:g}, found none"
            )
        if self.replay and not self.start_from:
            raise ValueError(
                "learn: expected start_from beside replay, found random weights"
            )
        if not self.training and len(self.start_from) < self.members:
            raise ValueError(
                "learn: expected labelled frames to begin with (training), or a model "
                f"in start_from for each of the {self.members} members, found no "
                f"frames and {len(self.start_from)} models"
            )


@documented
@dataclass(frozen=True)
class Exploration:
    """One of the ``[[explore]]`` tables: where the candidates of a round come from.

    Raises
    ------
    ValueError
        If it has both a protocol and a pool or neither, or a value is out of range.
    """

    name: str = setting(about="Name of its folder and in the log")
    protocol: str = setting(
        "", about="TOML of a protocol, which the committee runs in each round"
    )
    stages: tuple[str, ...] = setting(
        (), about="Stages of the protocol whose frames are candidates; all if none"
    )
    dynamics: str = setting(
        "mean",
        about="Forces that move the atoms: the committee's mean, or those of one "
        "member, another in each round, which costs less",
        choices=DYNAMICS,
    )
    pool: tuple[str, ...] = setting(
        (), about="Files of frames to pick from, in the place of a protocol"
    )
    every: int = setting(1, about="Take every so many frames", minimum=1, maximum=10**9)

    def __post_init__(self) -> None:
        check_settings(self, "explore")
        if bool(self.protocol) == bool(self.pool):
            found = "both" if self.pool else "neither"
            raise ValueError(f"explore: expected protocol or pool, found {found}")
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(
                "explore: expected a name of letters, digits, - and _, found "
                f"{self.name!r}"
            )
        if self.stages and self.pool:
            raise ValueError("explore: expected no stages beside pool, found both")


@documented
@dataclass(frozen=True)
class LabelSource(LabelSettings):
    """The ``[labels]`` table: who labels, and what labels are called in all files.

    Raises
    ------
    ValueError
        If what the kind needs is missing, or a value is out of range.
    """

    kind: str = setting(
        "command",
        about="Who labels the picked frames: a command, an ASE calculator, or the "
        "files of the pool, which have labels already",
        choices=SOURCES,
    )
    command: tuple[str, ...] = setting(
        (),
        about="Program and arguments; {frames} and {output} are the extended XYZ to "
        "read and to write. It runs in the folder of the loop's file",
    )
    calculator: str = setting(
        "", about="Class of an ASE calculator, such as ase.calculators.emt:EMT"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        needs = {"command": self.command, "ase": self.calculator, "pool": True}
        if not needs[self.kind]:
            name = "command" if self.kind == "command" else "calculator"
            raise ValueError(
                f"labels: expected {name} because kind = {self.kind!r}, found none"
            )
        for name, kind in (("command", "command"), ("calculator", "ase")):
            if getattr(self, name) and self.kind != kind:
                raise ValueError(
                    f"labels: expected no {name} because kind = {self.kind!r}, found "
                    f"{getattr(self, name)!r}"
                )
        text = " ".join(self.command)
        for place in ("{frames}", "{output}"):
            if self.command and place not in text:
                raise ValueError(
                    f"labels: expected {place} in command, found {list(self.command)}"
                )

# SPDX-License-Identifier: MIT
"""Train on several devices: a process for each, which average their gradients.

The calling process is the first one. It starts the others, hands them the data, and
waits until they are ready. Together they take the steps that one process would take
with batches as many times as large: each batch is shared out, and losses are divided by
the numbers of frames, atoms and components of the whole batch.
"""

import contextlib
import logging
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.utils.data import Sampler

from .config import TrainConfig

log = logging.getLogger(__name__)

READY = b"ready\n"
_PATIENCE = 30.0  # seconds that a process has to end by itself
_PROGRAM = f"""
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from {__package__}.device_process import take_part
take_part()
"""


def check_devices(config: TrainConfig, device: str, sizes: Sequence[int]) -> None:
    """Refuse more devices than there are GPUs, or structures to share among them.

    Parameters
    ----------
    config : TrainConfig
    device : str
        "cpu" or "cuda".
    sizes : sequence of int
        Number of structures of each set.

    Raises
    ------
    ValueError
    """
    if device == "cuda" and config.devices > torch.cuda.device_count():
        raise ValueError(
            f"training: expected devices of at most {torch.cuda.device_count()}, the "
            f"number of GPUs, found {config.devices}"
        )
    if config.devices > min(sizes):
        raise ValueError(
            f"training: expected devices of at most {min(sizes)}, the number of "
            "structures to train or to validate on, found "
            f"{config.devices}"
        )


class SharedBatches(Sampler[list[int]]):
    """Batches of one of several processes, which together are those of an order.

    Parameters
    ----------
    order : Sampler
        Order of an epoch, the same in all processes.
    batch_size : int
        Structures of a process in a batch. The last batches of an epoch are smaller
        where the structures do not fill them, and larger where they would leave a
        process without any.
    rank, devices : int
        Number of the process, and of processes.
    """

    def __init__(
        self, order: Sampler[int], batch_size: int, rank: int, devices: int
    ) -> None:
        self.sampler = order  # under this name Lightning tells it the epoch
        self.rank, self.devices = rank, devices
        self.whole = batch_size * devices

    def __len__(self) -> int:
        count = len(self.sampler)
        full, rest = divmod(count, self.whole)
        return max(full + (rest >= self.devices), 1)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.sampler)
        batches = len(self)
        for number in range(batches):
            end = (number + 1) * self.whole if number < batches - 1 else len(order)
            yield order[number * self.whole + self.rank : end : self.devices]


def shared_part(count: int, batch_size: int, rank: int, devices: int) -> list[Any]:
    """Batches of a process, of a set in its own order: at least one of them."""
    size = max(1, min(batch_size, count // devices))
    batches = [list(range(count))[i : i + size] for i in range(0, count, size)]
    return batches[rank::devices]


def is_shared() -> bool:
    """True in a training by several processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def mean_count(count: Tensor) -> Tensor:
    """A count of this process's batch, averaged over the processes, but not 0.

    Sums that are divided by it and then averaged, as gradients are, are the sum over
    all processes divided by the count of all.
    """
    if not is_shared():
        return count.clamp(min=1)
    total = count.double()
    dist.all_reduce(total)
    return total.clamp(min=1) / dist.get_world_size()


def collect(part: Any) -> list[Any]:
    """What all processes have, in their order."""
    if not is_shared():
        return [part]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, part)
    return parts


def gather(batches: list[Any]) -> list[Any]:
    """Batches of all processes in the order that ``shared_part`` dealt them out in."""
    parts = collect(batches)
    longest = max(map(len, parts))
    return [part[i] for i in range(longest) for part in parts if i < len(part)]


class Group:
    """The processes of a training, as its first one sees them.

    Parameters
    ----------
    devices : int
    job : tuple
        Start, config, output and checkpoint of ``train.fit``.
    """

    def __init__(self, devices: int, job: tuple) -> None:
        self.devices, self.job = devices, job
        self.processes: list[subprocess.Popen] = []
        self.errors: list[Any] = []

    def start(self) -> None:
        """Start the other processes, and wait until they are ready.

        Raises
        ------
        RuntimeError
            If one of them ends.
        """
        port = _free_port()
        os.environ.update(_environment(0, port))
        for rank in range(1, self.devices):
            self.errors.append(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors[-1],
                env=os.environ | _environment(rank, port),
            )
            self.processes.append(process)
        job = torch.get_num_threads(), self.job
        content = pickle.dumps(sys.path) + pickle.dumps(job)
        for process in self.processes:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(content)
        for process in self.processes:
            if READY not in process.stdout:  # whatever else its imports print
                _end(process)
                self._report(None)

    def stop(self, error: BaseException | None) -> None:
        """End the other processes; if one failed, raise what it failed with."""
        try:
            if error is not None:
                self._report(error)
        finally:
            for process in self.processes:
                if error is not None:
                    process.kill()
                _end(process)
                process.stdout.close()
            for file in self.errors:
                file.close()
            if dist.is_initialized():
                dist.destroy_process_group()

    def _report(self, error: BaseException | None) -> None:
        """Raise the error of a process that failed."""
        if error is not None and not isinstance(error, RuntimeError):
            return  # of this process itself
        for rank, process in enumerate(self.processes, 1):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            if process.poll():
                file = self.errors[rank - 1]
                file.seek(0)
                lines = file.read().decode(errors="replace").strip().splitlines()
                raise RuntimeError(
                    f"training: expected {self.devices} processes to train, found that "
                    f"number {rank} failed: {lines[-1] if lines else 'no message'}"
                ) from error


@contextlib.contextmanager
def several_devices(config: TrainConfig, rank: int, job: tuple) -> Iterator[Any]:
    """Start the other processes of a training, and end them after it.

    Parameters
    ----------
    config : TrainConfig
    rank : int
        Number of this process; those but the first start no others.
    job : tuple
        As of ``Group``.

    Yields
    ------
    dict
        Arguments of ``lightning.pytorch.Trainer``.
    """
    if config.devices == 1:
        yield {"devices": 1}
        return
    arguments = {
        "devices": config.devices,
        # validation batches are not as many in each process
        "strategy": DDPStrategy(broadcast_buffers=False),
        "plugins": [LightningEnvironment()],
        "use_distributed_sampler": False,
    }
    if rank > 0:
        os.write(1, READY)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        yield arguments
        return
    log.info("training in %d processes, each on a device of its own", config.devices)
    before = dict(os.environ)
    group = Group(config.devices, job)
    failure: BaseException | None = None
    try:
        group.start()
        yield arguments
    except BaseException as error:
        failure = error
        raise
    finally:
        for name in _environment(0, 0):
            os.environ.pop(name, None)
        os.environ.update(before)
        group.stop(failure)


def _end(process: subprocess.Popen) -> None:
    """Let a process end, or end it where it has nothing left to do but does not."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    process.kill()
    process.wait()


def _environment(rank: int, port: int) -> dict[str, str]:
    return {
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

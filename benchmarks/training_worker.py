# SPDX-License-Identifier: MIT
"""Train one variant of training.py, an epoch for each line of the input."""

import contextlib
import json
import sys
import tempfile
import time
import warnings

import torch
from lightning.pytorch.utilities import move_data_to_device

warnings.simplefilter("ignore")

RATE = 1e-4
PLAIN = {"optimizer": "adam", "forces_loss": "mse", "stress_weight": 0.0}
PLAIN |= {"energy_weight": 1.0, "weight_decay": 0.0, "fix_linear_chains": False}


def main() -> None:
    variant, model, frames, count, batch, peer, threads, device = sys.argv[1:]
    torch.set_num_threads(int(threads))
    data = frames, int(count), device
    if variant.startswith("nequip"):
        step, samples = _nequip(model, *data, peer, variant.split()[1])
    elif variant == "ours, graphs":
        step, samples = _graphs(model, *data, int(batch))
    else:
        compiled, sparse = "compiled" in variant, "dense" not in variant
        step, samples = _ours(model, *data, int(batch), compiled, sparse)
    batches = [samples[i : i + int(batch)] for i in range(0, len(samples), int(batch))]
    for warm_up in (*batches[:2], *batches[-1:]):  # compilation, first allocations
        step(warm_up)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter(), time.process_time()
        for samples_of_step in batches:
            step(samples_of_step)
        if device != "cpu":
            torch.cuda.synchronize()
        end = time.perf_counter(), time.process_time()
        taken = [(b - a) / len(samples) for a, b in zip(start, end, strict=True)]
        print(json.dumps(taken), flush=True)


def _ours(model, frames, count, device, batch, compiled, sparse):
    from openmm_allegro import load_model, read_structures
    from openmm_allegro.training.config import TrainConfig
    from openmm_allegro.training.module import TrainingModule
    from openmm_allegro.training.samples import FILL, collate, make_samples
    from openmm_allegro.utils.process import keep_freed_memory

    keep_freed_memory()  # as the command does
    model = load_model(model)
    model.energy.set_dtype(torch.float32)
    if sparse:
        try:
            from openmm_allegro.kernels.training.network import (
                use_training_network as use_kernel,
            )
        except ImportError:  # an earlier commit
            from openmm_allegro.kernels.training.sparse import (
                use_sparse_products as use_kernel,
            )
        if not use_kernel(model.energy):
            raise SystemExit("expected the compiled kernel, found none")
    samples = make_samples(read_structures(frames)[:count], model.config)
    settings = {"batch_size": batch, "learning_rate": RATE, "warmup_steps": 0}
    config = TrainConfig(**settings, **_plain(TrainConfig))
    module = TrainingModule(model, config, len(samples))
    module.to(device)
    optimizer = module.configure_optimizers()["optimizer"]

    fill = FILL
    if sparse:
        with contextlib.suppress(ImportError):  # an earlier commit
            from openmm_allegro.training.samples import FINE_FILL as fill

    def join(chosen):
        return collate(chosen, model.config, *([fill] if fill is not FILL else []))

    if compiled:
        from openmm_allegro.training.compiled import DenseCollate

        finest = [fill["smallest_fill"]] if fill is not FILL else []
        join = DenseCollate(samples, model.config, batch, *finest)

    def step(chosen):
        optimizer.zero_grad()
        batch = move_data_to_device(join(chosen), device)
        module.training_step(batch, 0).backward()
        optimizer.step()

    return step, samples


def _plain(config):
    """Settings of steps as nequip takes them, if the commit has them."""
    return {k: v for k, v in PLAIN.items() if k in config.__dataclass_fields__}


def _graphs(model, frames, count, device, batch):
    """Take whole steps from data on the GPU, as training.graphs does."""
    from openmm_allegro import load_model, read_structures
    from openmm_allegro.training.config import TrainConfig
    from openmm_allegro.training.graphs import GraphTraining

    structures = read_structures(frames)[:count]
    settings = TrainConfig(
        batch_size=batch,
        learning_rate=RATE,
        max_epochs=1000,
        compile=device != "cpu",
        device=device,
        **_plain(TrainConfig),
    )
    network = load_model(model).config
    with tempfile.TemporaryDirectory() as folder:
        training = GraphTraining(network, settings, structures, structures[:1], folder)
    return lambda _: training.replay(), structures


def _nequip(model, frames, count, device, peer, mode):
    import ase
    from nequip.data import AtomicDataDict
    from nequip.data.ase import from_ase
    from nequip.data.transforms import NeighborListTransform
    from nequip.model.saved_models.load_utils import load_saved_model
    from nequip.utils.global_state import set_global_state

    from openmm_allegro import load_model, read_structures

    config = load_model(model).config
    set_global_state()
    net = load_saved_model(peer, compile_mode=mode).train().to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    table = zip(config.elements, config.cutoff_table().tolist(), strict=True)
    cutoffs = {a: dict(zip(config.elements, row, strict=True)) for a, row in table}
    find = NeighborListTransform(config.cutoff, cutoffs, list(config.elements))
    samples = []
    for s in read_structures(frames)[:count]:
        atoms = ase.Atoms(s.symbols, s.positions, cell=s.cell, pbc=s.periodic)
        data = from_ase(atoms)
        kinds = [net.type_names.index(symbol) for symbol in s.symbols]
        data["atom_types"] = torch.tensor(kinds)
        data["wanted_energy"] = torch.tensor([[s.energy]], dtype=torch.float64)
        data["wanted_forces"] = torch.tensor(s.forces)
        samples.append(find(data))

    def step(chosen):
        optimizer.zero_grad()
        wanted = {
            name: torch.cat([data[f"wanted_{name}"] for data in chosen])
            for name in ("energy", "forces")
        }
        inputs = [
            {k: v for k, v in data.items() if not k.startswith("wanted")}
            for data in chosen
        ]
        inputs = AtomicDataDict.batched_from_list(inputs)
        wanted, inputs = (move_data_to_device(d, device) for d in (wanted, inputs))
        predicted = net(inputs)
        sizes = torch.tensor(
            [[len(data["atom_types"])] for data in chosen], device=device
        )
        energy = (predicted["total_energy"] - wanted["energy"]) / sizes
        forces = predicted["forces"] - wanted["forces"]
        (energy.square().mean() + forces.square().mean()).backward()
        optimizer.step()

    return step, samples


if __name__ == "__main__":
    main()

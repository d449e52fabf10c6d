# SPDX-License-Identifier: MIT
"""Cite works: on programs, methods of simulation, and formulas of quantities."""

WORKS = {
    "allegro": "A. Musaelian et al., Nat. Commun. 14, 579 (2023), "
    "doi:10.1038/s41467-023-36329-y",
    "nequip": "C. W. Tan et al., arXiv:2504.16068 (2025), "
    "doi:10.48550/arXiv.2504.16068",
    "openmm": "P. Eastman et al., J. Phys. Chem. B 128, 109 (2024), "
    "doi:10.1021/acs.jpcb.3c06662",
    "lammps": "A. P. Thompson et al., Comput. Phys. Commun. 271, 108171 (2022), "
    "doi:10.1016/j.cpc.2021.108171",
    "mdtraj": "R. T. McGibbon et al., Biophys. J. 109, 1528 (2015), "
    "doi:10.1016/j.bpj.2015.08.015",
    "freud": "V. Ramasubramani et al., Comput. Phys. Commun. 254, 107275 (2020), "
    "doi:10.1016/j.cpc.2020.107275",
    "embedding": "H. M. Senn and W. Thiel, Angew. Chem. Int. Ed. 48, 1198 (2009), "
    "doi:10.1002/anie.200802019",
    "link-atoms": "S. Dapprich et al., J. Mol. Struct. THEOCHEM 461, 1 (1999), "
    "doi:10.1016/S0166-1280(98)00475-8",
    "charge-shift": "P. Sherwood et al., J. Mol. Struct. THEOCHEM 632, 1 (2003), "
    "doi:10.1016/S0166-1280(03)00285-9",
    "ewald": "P. P. Ewald, Ann. Phys. 369, 253 (1921), doi:10.1002/andp.19213690304",
    "mesh": "U. Essmann et al., J. Chem. Phys. 103, 8577 (1995), doi:10.1063/1.470117",
    "l-bfgs": "D. C. Liu and J. Nocedal, Math. Program. 45, 503 (1989), "
    "doi:10.1007/BF01589116",
    "langevin-middle": "Z. Zhang et al., J. Phys. Chem. A 123, 6056 (2019), "
    "doi:10.1021/acs.jpca.9b02771",
    "nose-hoover": "G. J. Martyna et al., J. Chem. Phys. 97, 2635 (1992), "
    "doi:10.1063/1.463940",
    "andersen": "H. C. Andersen, J. Chem. Phys. 72, 2384 (1980), doi:10.1063/1.439486",
    "verlet": "L. Verlet, Phys. Rev. 159, 98 (1967), doi:10.1103/PhysRev.159.98",
    "velocity-verlet": "W. C. Swope et al., J. Chem. Phys. 76, 637 (1982), "
    "doi:10.1063/1.442716",
    "baoab": "B. Leimkuhler and C. Matthews, Appl. Math. Res. Express 2013, 34 (2013), "
    "doi:10.1093/amrx/abs010",
    "geodesic-baoab": "B. Leimkuhler and C. Matthews, Proc. R. Soc. A 472, 20160138 "
    "(2016), doi:10.1098/rspa.2016.0138",
    "langevin": "T. Schneider and E. Stoll, Phys. Rev. B 17, 1302 (1978), "
    "doi:10.1103/PhysRevB.17.1302",
    "vvvr": "D. A. Sivak et al., J. Phys. Chem. B 118, 6466 (2014), "
    "doi:10.1021/jp411770f",
    "barostat": "J. Åqvist et al., Chem. Phys. Lett. 384, 288 (2004), "
    "doi:10.1016/j.cplett.2003.12.039",
    "moving-barostat": "G. J. Martyna et al., J. Chem. Phys. 101, 4177 (1994), "
    "doi:10.1063/1.467468",
    "hydrogen-mass": "C. W. Hopkins et al., J. Chem. Theory Comput. 11, 1864 (2015), "
    "doi:10.1021/ct5010406",
    "rpmd": "I. R. Craig and D. E. Manolopoulos, J. Chem. Phys. 121, 3368 (2004), "
    "doi:10.1063/1.1777575",
    "pile": "M. Ceriotti et al., J. Chem. Phys. 133, 124104 (2010), "
    "doi:10.1063/1.3489925",
    "contraction": "T. E. Markland and D. E. Manolopoulos, J. Chem. Phys. 129, 024105 "
    "(2008), doi:10.1063/1.2953308",
    "qtb": "N. Mauger et al., J. Phys. Chem. Lett. 12, 8285 (2021), "
    "doi:10.1021/acs.jpclett.1c01722",
    "metadynamics": "A. Barducci et al., Phys. Rev. Lett. 100, 020603 (2008), "
    "doi:10.1103/PhysRevLett.100.020603",
    "opes": "M. Invernizzi and M. Parrinello, J. Phys. Chem. Lett. 11, 2731 (2020), "
    "doi:10.1021/acs.jpclett.0c00497",
    "opes-explore": "M. Invernizzi and M. Parrinello, J. Chem. Theory Comput. 18, 3988 "
    "(2022), doi:10.1021/acs.jctc.2c00152",
    "plumed": "G. A. Tribello et al., Comput. Phys. Commun. 185, 604 (2014), "
    "doi:10.1016/j.cpc.2013.09.018",
    "umbrella": "G. M. Torrie and J. P. Valleau, J. Comput. Phys. 23, 187 (1977), "
    "doi:10.1016/0021-9991(77)90121-8",
    "mbar": "M. R. Shirts and J. D. Chodera, J. Chem. Phys. 129, 124105 (2008), "
    "doi:10.1063/1.2978177",
    "reweighting": "P. Tiwary and M. Parrinello, J. Phys. Chem. B 119, 736 (2015), "
    "doi:10.1021/jp504920s",
    "replicas": "J. D. Chodera and M. R. Shirts, J. Chem. Phys. 135, 194110 (2011), "
    "doi:10.1063/1.3660669",
    "crooks": "G. E. Crooks, Phys. Rev. E 60, 2721 (1999), "
    "doi:10.1103/PhysRevE.60.2721",
    "jarzynski": "C. Jarzynski, Phys. Rev. Lett. 78, 2690 (1997), "
    "doi:10.1103/PhysRevLett.78.2690",
    "bar": "C. H. Bennett, J. Comput. Phys. 22, 245 (1976), "
    "doi:10.1016/0021-9991(76)90078-4",
    "equilibration": "J. D. Chodera, J. Chem. Theory Comput. 12, 1799 (2016), "
    "doi:10.1021/acs.jctc.5b00784",
    "inefficiency": "J. D. Chodera et al., J. Chem. Theory Comput. 3, 26 (2007), "
    "doi:10.1021/ct0502864",
    "jackknife": "B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans "
    "(SIAM, 1982), doi:10.1137/1.9781611970319",
    "msd": "J. T. Bullerjahn et al., J. Chem. Phys. 153, 024116 (2020), "
    "doi:10.1063/5.0008312",
    "unwrapping": "J. T. Bullerjahn et al., J. Chem. Theory Comput. 19, 3406 (2023), "
    "doi:10.1021/acs.jctc.3c00308",
    "conductivity": "K. D. Fong et al., Macromolecules 53, 9503 (2020), "
    "doi:10.1021/acs.macromol.0c02001",
    "green-kubo": "R. Kubo, J. Phys. Soc. Jpn. 12, 570 (1957), doi:10.1143/JPSJ.12.570",
    "density-of-states": "S.-T. Lin et al., J. Chem. Phys. 119, 11792 (2003), "
    "doi:10.1063/1.1624057",
    "continuous": "D. C. Rapaport, Mol. Phys. 50, 1151 (1983), "
    "doi:10.1080/00268978300102931",
    "intermittent": "A. Luzar and D. Chandler, Nature 379, 55 (1996), "
    "doi:10.1038/379055a0",
    "residence": "D. Laage and J. T. Hynes, J. Phys. Chem. B 112, 7697 (2008), "
    "doi:10.1021/jp802033r",
    "structure-factor": "T. E. Faber and J. M. Ziman, Philos. Mag. 11, 153 (1965), "
    "doi:10.1080/14786436508211931",
    "form-factors": "D. Waasmaier and A. Kirfel, Acta Cryst. A 51, 416 (1995), "
    "doi:10.1107/S0108767394013292",
    "van-hove": "L. Van Hove, Phys. Rev. 95, 249 (1954), doi:10.1103/PhysRev.95.249",
    "non-gaussian": "A. Rahman, Phys. Rev. 136, A405 (1964), "
    "doi:10.1103/PhysRev.136.A405",
    "dielectric": "M. Neumann, Mol. Phys. 50, 841 (1983), "
    "doi:10.1080/00268978300102721",
    "infrared": "R. Ramírez et al., J. Chem. Phys. 121, 3973 (2004), "
    "doi:10.1063/1.1774986",
    "jumps": "N.-V. Buchete and G. Hummer, J. Phys. Chem. B 112, 6057 (2008), "
    "doi:10.1021/jp0761665",
    "jump-diffusion": "N. J. J. de Klerk et al., ACS Appl. Energy Mater. 1, 3230 "
    "(2018), doi:10.1021/acsaem.8b00457",
    "kinetic-energy": "M. F. Herman et al., J. Chem. Phys. 76, 5150 (1982), "
    "doi:10.1063/1.442815",
    "committee": "C. Schran et al., J. Chem. Phys. 153, 104105 (2020), "
    "doi:10.1063/5.0016004",
    "ff14sb": "J. A. Maier et al., J. Chem. Theory Comput. 11, 3696 (2015), "
    "doi:10.1021/acs.jctc.5b00255",
    "ff19sb": "C. Tian et al., J. Chem. Theory Comput. 16, 528 (2020), "
    "doi:10.1021/acs.jctc.9b00591",
    "charmm36": "R. B. Best et al., J. Chem. Theory Comput. 8, 3257 (2012), "
    "doi:10.1021/ct300400x",
    "charmm36m": "J. Huang et al., Nat. Methods 14, 71 (2017), doi:10.1038/nmeth.4067",
    "water-fb": "L.-P. Wang et al., J. Phys. Chem. Lett. 5, 1885 (2014), "
    "doi:10.1021/jz500737m",
    "opc": "S. Izadi et al., J. Phys. Chem. Lett. 5, 3863 (2014), "
    "doi:10.1021/jz501780a",
    "opc-three": "S. Izadi and A. V. Onufriev, J. Chem. Phys. 145, 074501 (2016), "
    "doi:10.1063/1.4960175",
    "tip3p": "W. L. Jorgensen et al., J. Chem. Phys. 79, 926 (1983), "
    "doi:10.1063/1.445869",
}

# Works on force fields, by OpenMM's own files; a file that none is certain of has none.
_OF_WATER = {
    "tip3pfb.xml": ("water-fb",),
    "tip4pfb.xml": ("water-fb",),
    "opc.xml": ("opc",),
    "opc3.xml": ("opc-three",),
    "tip3p.xml": ("tip3p",),
}
FORCE_FIELDS = {
    "amber14-all.xml": ("ff14sb",),
    "amber14/protein.ff14SB.xml": ("ff14sb",),
    "amber19-all.xml": ("ff19sb",),
    "amber19/protein.ff19SB.xml": ("ff19sb",),
    "charmm36.xml": ("charmm36",),
    "charmm36_2024.xml": ("charmm36m",),
    **_OF_WATER,
    **{f"amber14/{file}": works for file, works in _OF_WATER.items()},
    **{f"amber19/{file}": works for file, works in _OF_WATER.items()},
}
# Works that are on proteins, of files that hold the parameters of other molecules, too.
PROTEINS = ("ff14sb", "ff19sb", "charmm36", "charmm36m")

# How quantities were measured: words, and what they cite, by the quantity's name.
QUANTITIES = {
    "rdf": (
        "radial distribution functions and coordination numbers within their first "
        "minima",
        ("freud",),
    ),
    "speciation": ("frequencies of coordination environments", ()),
    "angles": ("angles between neighbours", ()),
    "structure-factor": (
        "X-ray and neutron structure factors",
        ("structure-factor", "form-factors"),
    ),
    "diffusion": (
        "self-diffusion coefficients from slopes of mean square displacements by "
        "generalised least squares, of unwrapped paths",
        ("msd", "unwrapping"),
    ),
    "conductivity": (
        "ionic conductivity, Haven ratio and transference numbers by Einstein "
        "relations",
        ("conductivity",),
    ),
    "survival": (
        "lifetimes and residence times from continuous and intermittent survival of "
        "contacts between stable states",
        ("continuous", "intermittent", "residence"),
    ),
    "van-hove": ("van Hove functions", ("van-hove",)),
    "non-gaussian": ("non-Gaussian parameters", ("non-gaussian",)),
    "vacf": ("velocity autocorrelation functions", ()),
    "density-of-states": ("densities of states", ("density-of-states",)),
    "green-kubo": ("Green–Kubo integrals of velocities", ("green-kubo",)),
    "jumps": ("jumps between sites", ("jumps", "jump-diffusion")),
    "dielectric": ("the dielectric constant of fluctuating dipoles", ("dielectric",)),
    "infrared": ("the infrared spectrum of the dipoles' change", ("infrared",)),
    "kinetic-energy": ("kinetic energies of quantum nuclei", ("kinetic-energy",)),
    "thermodynamics": ("mean energies, densities and their fluctuations", ()),
}

# Integrators: words, what their rate is called, and what they cite.
INTEGRATORS = {
    "langevin-middle": (
        "the leapfrog Langevin integrator with its thermostat in the middle",
        "friction",
        ("langevin-middle",),
    ),
    "verlet": ("the leapfrog Verlet integrator", "", ("verlet",)),
    "velocity-verlet": ("velocity Verlet", "", ("velocity-verlet",)),
    "nose-hoover": ("Nosé–Hoover chains", "collision frequency", ("nose-hoover",)),
    "nose-hoover-chain": (
        "velocity Verlet and Nosé–Hoover chains",
        "collision frequency",
        ("nose-hoover",),
    ),
    "andersen": (
        "leapfrog Verlet and an Andersen thermostat",
        "collision frequency",
        ("verlet", "andersen"),
    ),
    "andersen-velocity-verlet": (
        "velocity Verlet and an Andersen thermostat",
        "collision frequency",
        ("velocity-verlet", "andersen"),
    ),
    "baoab": ("the Langevin integrator BAOAB", "friction", ("baoab",)),
    "geodesic-baoab": (
        "the geodesic Langevin integrator BAOAB",
        "friction",
        ("geodesic-baoab",),
    ),
    "vvvr": ("the Langevin integrator VVVR", "friction", ("vvvr",)),
    "ghmc": ("generalised hybrid Monte Carlo", "friction", ()),
    "rpmd": (
        "ring-polymer molecular dynamics and a path-integral Langevin thermostat",
        "friction of the centroid",
        ("rpmd", "pile"),
    ),
    "qtb": ("an adaptive quantum thermal bath", "friction", ("qtb",)),
}

# Without the thermostat.
_OF_NVE = {"rpmd": ("ring-polymer molecular dynamics", "", ("rpmd",))}
# What LAMMPS has in the place of some of them.
_IN_LAMMPS = {
    "langevin-middle": (
        "velocity Verlet and Langevin forces",
        "friction",
        ("velocity-verlet", "langevin"),
    ),
    "verlet": INTEGRATORS["velocity-verlet"],
    "nose-hoover": INTEGRATORS["nose-hoover-chain"],
}


def find_integrator(
    name: str, ensemble: str, *, lammps: bool
) -> tuple[str, str, tuple[str, ...]]:
    """Find what an integrator is in a paper: as `INTEGRATORS` has it."""
    known = INTEGRATORS | (_IN_LAMMPS if lammps else {})
    if ensemble == "nve":
        known |= _OF_NVE
    return known.get(name, (f"integrator {name}", "friction", ()))

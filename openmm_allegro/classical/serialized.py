# SPDX-License-Identifier: MIT
"""Read OpenMM's XML without running code that a file may hold.

OpenMM unpickles the function of a PythonForce as it reads one, wherever it stands: in a
System, inside a CustomCVForce, or in the place of a State. What a TorchForce holds is a
program in TorchScript, whose operators may reach files. So XML is looked through before
OpenMM sees it. It reads XML less strictly than the standard has it (its comments end
elsewhere, for instance); only what both understand alike is let through.
"""

import base64
import inspect
import io
import math
import re
from pathlib import Path
from xml.parsers import expat

import numpy as np
import openmm

from ..forces import register_torch_force
from ..kernels.inference.validity import check_program
from ..plugin.force import FORCE_TYPE
from ..utils.config import brief

# OpenMM's parser calls itself for each level.
_DEEPEST = 100
# Attributes of OpenMM's own elements that are called type, but name no class.
_NUMBER = re.compile(r"-?\d+")
# Attributes, but for programs, and OpenMM's version.
_ATTRIBUTES = re.compile(r'(?<![\w:])([\w:]+)\s*=\s*"([^"]*)"')
_PROGRAM = re.compile(r'\b(function|encodedFileContents|openmmVersion)="[^"]*"')
_ENDLESS = re.compile(r'="[-+]?(nan|inf|infinity)"', re.IGNORECASE)
# What begins as a number and is none.
_NEARLY_NUMBER = re.compile(
    r"[-+.]*\d(?![\d.]*(e[-+]?\d+)?$)[\d.,xX+-]*$|^$", re.IGNORECASE
)
# Words in TorchScript that reach files, memory or Python outside of tensors.
_REACHING = re.compile(
    r"\b(save|load|load_tensor|from_file\w*|\w*unsafe\w*|_reinterpret_tensor|set_)\b"
)
_NAMESPACE = re.compile(r"\bops\s*\.\s*(\w+)")
_NAMESPACES = {"aten", "prim", "prims", "openmm_allegro"}
_LIBRARY = re.compile(r"\bclasses\s*\.\s*(\w+)")
_LIBRARIES = {"vesin"}
# An attribute whose name is put together could be any.
_ATTRIBUTE = re.compile(r"\bgetattr\s*\((?!\s*\w+\s*,\s*\"\w+\"\s*\))")


def read_system(path: str | Path, *, trust: bool = False) -> openmm.System:
    """Read a System that ``openmm.XmlSerializer`` has written.

    Parameters
    ----------
    path : path
    trust : bool
        Whether the System may have forces that run code of the file: a PythonForce, a
        force of a plugin that is not known here, or a TorchForce whose program reaches
        files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a System, or would run code and is not trusted.
    ImportError
        If a force in it needs what is not installed; the message says what.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a serialized System, found nothing at {path}"
        )
    try:
        text = path.read_text(encoding="utf-8")
        check_system(text, str(path), trust=trust)
        system = openmm.XmlSerializer.deserialize(text)
    except (openmm.OpenMMException, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: expected a serialized System, found {error}"
        ) from error
    if not isinstance(system, openmm.System):
        raise ValueError(
            f"{path}: expected a serialized System, found {type(system).__name__}"
        )
    _check_numbers(text, openmm.XmlSerializer.serialize(system), str(path))
    return system


def read_state(text: str, where: str) -> openmm.State:
    """Read the XML of a State, and nothing else.

    Parameters
    ----------
    text : str
    where : str
        Beginning of error messages: a file, usually.

    Raises
    ------
    ValueError
        If it is not a State.
    """
    for attributes in _elements(text, where, "State"):
        kind = attributes.get("type")
        if kind not in (None, "State"):
            raise ValueError(
                f"{where}: expected a State, which has positions and velocities, found "
                f"a {kind} in it"
            )
    try:
        state = openmm.XmlSerializer.deserialize(text)
    except (openmm.OpenMMException, ValueError) as error:
        raise ValueError(f"{where}: expected a State, found {error}") from error
    if not isinstance(state, openmm.State):
        raise ValueError(f"{where}: expected a State, found {type(state).__name__}")
    _check_numbers(text, openmm.XmlSerializer.serialize(state), where)
    return state


def check_system(text: str, where: str, *, trust: bool = False) -> None:
    """Refuse XML of a System that would run code when it is read or evaluated.

    Raises
    ------
    ValueError
    """
    for attributes in _elements(text, where, "System"):
        kind = attributes.get("type")
        if _is_model(attributes):
            _check_model(attributes, where)
        if trust or kind is None or _NUMBER.fullmatch(kind):
            continue
        if kind == "TorchForce":
            reason = _reason_of_torch_force(attributes)
        elif kind in ("PythonForce", "PythonTorchForce"):
            reason = "a Python function, which runs any code when it is read"
        elif kind in _known_kinds():
            continue
        else:
            reason = "what is not known here and may be code"
        if reason:
            raise ValueError(
                f"{where}: expected forces without programs of their own, found a "
                f"{kind}, which holds {reason}; if you would run the programs of "
                "whoever made the file, say so: --trust (trust=True)"
            )


def _elements(text: str, where: str, root: str) -> list[dict[str, str]]:
    """List the attributes of elements with a type, in XML as OpenMM writes it.

    Models of native forces count, too.
    """
    declaration = text.lstrip().startswith("<?xml ")
    if text.count("<!") or text.count("<?") > declaration:
        raise ValueError(
            f"{where}: expected XML as OpenMM writes it, found comments, definitions "
            "or instructions in it"
        )
    typed: list[dict[str, str]] = []
    first, depth = "", 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal first, depth
        first, depth = first or tag, depth + 1
        if depth > _DEEPEST:
            raise ValueError(
                f"{where}: expected at most {_DEEPEST} elements in each other, found "
                "more"
            )
        if depth == 1 or "type" in attributes or _is_model(attributes):
            typed.append(attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(
            f"{where}: expected a serialized {root}, found text that is no XML "
            f"({error})"
        ) from error
    kind = typed[0].get("type", first)
    if first != root or kind != root:
        raise ValueError(f"{where}: expected a serialized {root}, found {kind}")
    return typed


def _check_numbers(text: str, again: str, where: str) -> None:
    """Refuse numbers that OpenMM has read as others: it takes "abc" for 0, "1,5" for 1.

    ``again`` is what it writes of what it has read.
    """
    first, second = (_PROGRAM.sub("", each).strip() for each in (text, again))
    endless = _ENDLESS.search(first)
    if endless:
        raise ValueError(f"{where}: expected finite numbers, found {endless[0][2:-1]}")
    if first == second:  # as nearly always
        return
    old, new = (_ATTRIBUTES.findall(each) for each in (first, second))
    same_form = [name for name, _ in old] == [name for name, _ in new]
    for index, (name, value) in enumerate(old):
        read = new[index][1] if same_form else value
        if not _same_value(value, read) or _NEARLY_NUMBER.match(value):
            raise ValueError(
                f"{where}: expected numbers as OpenMM writes them, found {name} = "
                f"{brief(value)}"
            )


def _same_value(first: str, second: str) -> bool:
    try:
        return math.isfinite(float(first)) and math.isclose(
            float(first), float(second), rel_tol=1e-9
        )
    except ValueError:
        return first == second


def _known_kinds() -> set[str]:
    """Names of OpenMM's own classes that XML may hold, all of them data."""
    kinds = (openmm.System, openmm.Force, openmm.TabulatedFunction)
    return {
        name
        for name, value in vars(openmm).items()
        if inspect.isclass(value) and issubclass(value, kinds)
    } | {FORCE_TYPE}


def _is_model(attributes: dict[str, str]) -> bool:
    """Tell whether an element can be a model of a native force."""
    return "integers" in attributes and "weights" in attributes


def _check_model(attributes: dict[str, str], where: str) -> None:
    """Refuse a folded model whose indices lead out of its arrays."""
    try:
        real = {"0": np.float32, "1": np.float64}[attributes["double"]]
        types = {"integers": np.int64, "constants": np.float64, "weights": real}
        program = [
            np.frombuffer(base64.b64decode(attributes[name], validate=True), kind)
            for name, kind in types.items()
        ]
        check_program(*program)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{where}: expected the model of a native force, found {error}"
        ) from error


def _reason_of_torch_force(attributes: dict[str, str]) -> str:
    """Say what a TorchForce holds that may reach beyond tensors, if anything."""
    content = attributes.get("encodedFileContents", "")
    # the first version reads the file that it names
    if not content or not re.fullmatch("[2-9]", attributes.get("version", "")):
        return f"the name of a file ({attributes.get('file', '')!r}) with a program"
    try:
        import torch
    except ImportError:
        register_torch_force()  # says what to install
        raise

    try:
        data = bytes.fromhex(content)
        if not data.startswith(b"PK\x03\x04"):
            raise ValueError
        # torch's own reader, which sees what torch will read
        archive = torch._C.PyTorchFileReader(io.BytesIO(data))
        code = [
            archive.get_record(name).decode()
            for name in archive.get_all_records()
            if name.endswith(".py")
        ]
    except (RuntimeError, ValueError):
        return "what is no archive of TorchScript"
    return next(filter(None, map(_reason_of_code, code)), "")


def _reason_of_code(code: str) -> str:
    for pattern, allowed in ((_NAMESPACE, _NAMESPACES), (_LIBRARY, _LIBRARIES)):
        for name in pattern.findall(code):
            if name not in allowed:
                return f"a program that calls the library {name}"
    reaching = _REACHING.search(code) or _ATTRIBUTE.search(code)
    if reaching:
        return f"a program with the operator {reaching[0].strip('(')}"
    return ""

# SPDX-License-Identifier: MIT
"""The reason of a failure, without the layers that passed it on."""

import re

_PREFIX = re.compile(r"^(?:(?:builtins\.)?\w*(?:Error|Exception): )+", re.MULTILINE)
# What C++ adds behind a message: torch its frames or Python's, OpenMM a link.
_SUFFIX = re.compile(
    r"\n+(?:Exception raised from |frame #|CUDA kernel errors might be|At:\n).*"
    r"| +For more information, see .*",
    re.DOTALL,
)


def reason_of(error: BaseException) -> str:
    """Extract the message that an error began with, as one line.

    A force's module raises inside TorchScript, whose error begins with a traceback;
    OpenMM passes that on as its own.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str
        The name of the error's class where it has no message.
    """
    text = str(error)
    if "Traceback" in text:
        text = _PREFIX.split(text)[-1]
    text = " ".join(_SUFFIX.sub("", text).split())
    return text or type(error).__name__

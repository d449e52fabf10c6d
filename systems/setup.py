# SPDX-License-Identifier: MIT
"""Build the wheel of the shipped models, without the scripts that made them."""

from setuptools import setup
from setuptools.command.build_py import build_py


class Files(build_py):
    """Take the files of a package, and no module."""

    def find_package_modules(self, package, package_dir):
        """Find no module."""
        return []


setup(cmdclass={"build_py": Files})

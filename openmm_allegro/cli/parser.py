# SPDX-License-Identifier: MIT
"""The parser of the command, whose errors name what was probably meant."""

import argparse
import functools
import re
from collections.abc import Callable
from typing import Any, NoReturn

from ..utils.suggest import did_you_mean


class Parser(argparse.ArgumentParser):
    """A parser as argparse's, and so are the parsers of its verbs.

    A verb, a quantity or an option that there is not is an error with the one that is
    spelled nearly so.
    """

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all arguments; see ``argparse.ArgumentParser.parse_args``."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            words = [word.partition("=")[0] for word in unknown]
            known = self.options_of(options)
            self.error(
                f"unrecognized arguments: {' '.join(unknown)}"
                f"{did_you_mean([w for w in words if w.startswith('-')], known)}"
            )
        return options

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and end the process with status 2."""
        match = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if match:
            choices = [choice.strip("' ") for choice in match[2].split(",")]
            message += did_you_mean([match[1]], choices)
        super().error(message)

    def options_of(self, options: argparse.Namespace) -> list[str]:
        """Options of this parser, and of those of the verbs that were given."""
        names = [name for name in self._option_string_actions if name[:2] == "--"]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                chosen = action.choices.get(getattr(options, action.dest, None))
                if isinstance(chosen, ParserOfOne):
                    names += chosen.parser.options_of(options)
        return names

    def add_verbs(self, **options: Any) -> Any:
        """Add parsers as ``add_subparsers`` does, which are made when they are used."""
        return self.add_subparsers(parser_class=ParserOfOne, **options)


class ParserOfOne:
    """The parser of one verb or quantity, made when it is asked for.

    To make all of them takes longer than what many a command does.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self.fill: Callable[[Parser], None] = lambda parser: None

    @functools.cached_property
    def parser(self) -> Parser:
        """The parser with its options."""
        parser = Parser(**self._options)
        self.fill(parser)
        return parser

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; see ``argparse.ArgumentParser.parse_known_args``."""
        return self.parser.parse_known_args(args, namespace)

"""What every command-line tool shares: one line for a user's mistake, honest exit codes."""

import argparse
import io
import sys
from collections.abc import Callable, Sequence

from mmwtal.utils.errors import UserError


def run_tool(
    main: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> None:
    """Parse the command line, run a tool and exit.

    Exit codes: what ``main`` returns (None is 0); 2 for a :class:`UserError` or an OSError (as argparse uses for a
    bad command line); 130 for Ctrl-C, with what the KeyboardInterrupt says. Any other exception is a defect of the tool
    and keeps its traceback and exit code 1.

    Args:
        main: The tool; takes the parsed arguments, returns its exit code.
        parser: Its options; ``--debug`` is added here.
        argv: The command line without the program's name; ``sys.argv`` by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name of a file or a class that the terminal's encoding lacks must not end a tool.
            stream.reconfigure(errors='backslashreplace')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    args = parser.parse_args(argv)
    try:
        code = main(args) or 0
    except UserError as error:
        if args.debug:
            raise
        # A data loader's worker hands an error on with its whole traceback in front of the message.
        message = str(error).rpartition(f'{UserError.__module__}.{UserError.__name__}: ')[2].strip()
        sys.stderr.write(f'error: {message}\n')
        code = 2
    except OSError as error:
        # A missing or full disk, a folder that may not be written: the system's message names the file.
        if args.debug:
            raise
        sys.stderr.write(f'error: {error}\n')
        code = 2
    except KeyboardInterrupt as interrupt:
        if args.debug:
            raise
        sys.stderr.write(': '.join(filter(None, ['interrupted', str(interrupt)])) + '\n')
        code = 130
    sys.exit(code)

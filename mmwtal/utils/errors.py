"""The one exception for what a user can mend."""


class UserError(Exception):
    """Bad input or a bad setting: the message says what is wrong, where, what was expected and how to mend it.

    The tools print the message without a traceback and exit with code 2; see :func:`mmwtal.utils.cli.run_tool`.
    """

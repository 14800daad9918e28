"""The one exception that a user of SparsePix has to catch."""

from collections.abc import Sequence


class SparsePixError(ValueError):
    """Something in the user's input is wrong: a model, a file, an argument.

    A command line turns it into one message and exit status 2.

    Args:
        problems: one message, or several that were found in one go. Each names the layer or
            file, what was expected, what was found, and the fix.
        heading: a line above several problems.
    """

    def __init__(self, problems: str | Sequence[str], heading: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        if len(self.problems) == 1:
            message = f"{heading}: {self.problems[0]}" if heading else self.problems[0]
        else:
            lines = [f"  - {problem}" for problem in self.problems]
            message = "\n".join([f"{heading or 'several problems'}:", *lines])
        super().__init__(message)

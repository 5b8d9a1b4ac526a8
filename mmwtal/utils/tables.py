"""A table that is printed in a terminal and stands in a document."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells under heads.

    Args:
        title: What the figures are.
        heads: Names of the columns.
        rows: The cells, as many in each row as there are heads.
        words: Numbers of the columns that hold words, which are set left; figures are set right.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[int] = (0,)

    def text(self) -> str:
        """Return the table with aligned columns, under its title."""
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        lines = [
            '  '.join(self._padded(i, *cell) for i, cell in enumerate(cells)).rstrip()
            for cells in (list(zip(row, widths, strict=True)) for row in (self.heads, *self.rows))
        ]
        return '\n'.join([self.title, *lines])

    def markdown(self) -> str:
        """Return a Markdown table under its title."""
        rule = ['---' if i in self.words else '---:' for i in range(len(self.heads))]
        lines = [f'| {" | ".join(map(_escaped, row))} |' for row in (self.heads, rule, *self.rows)]
        return '\n'.join([f'{self.title}:', '', *lines])

    def _padded(self, column: int, cell: str, width: int) -> str:
        return cell.ljust(width) if column in self.words else cell.rjust(width)


def _escaped(cell: str) -> str:
    return cell.replace('|', '\\|').replace('\n', ' ')

"""A table that is printed in a terminal and stands in a document."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells under heads; the first column is set left, the others right.

    Args:
        title: What the figures are.
        heads: Names of the columns.
        rows: The cells, as many in each row as there are heads.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return the table with aligned columns, under its title."""
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        lines = [
            '  '.join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(cells)).rstrip()
            for cells in (list(zip(row, widths, strict=True)) for row in (self.heads, *self.rows))
        ]
        return '\n'.join([self.title, *lines])

    def markdown(self) -> str:
        """Return a Markdown table under its title."""
        rule = ['---', *('---:' for _ in self.heads[1:])]
        lines = [f'| {" | ".join(map(_escaped, row))} |' for row in (self.heads, rule, *self.rows)]
        return '\n'.join([f'{self.title}:', '', *lines])


def _escaped(cell: str) -> str:
    return cell.replace('|', '\\|').replace('\n', ' ')

"""Print stored comparisons of protocols as Markdown tables, or put them into a document.

The comparisons are what tools/evaluate.py writes with --protocol all (or several) and --out. In the document the tables
replace what is between the lines "<!-- begin protocol tables -->" and "<!-- end protocol tables -->".

Example: python tools/analysis/protocol_table.py docs/protocols/*.json --write docs/protocols.md
"""

import argparse
from pathlib import Path

from mmwtal.evaluation.comparison import Comparison
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text, write_atomically
from mmwtal.utils.json_file import read_json_object

BEGIN, END = '<!-- begin protocol tables -->', '<!-- end protocol tables -->'


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('results', type=Path, nargs='+', help='stored comparisons, one table each')
    parser.add_argument('--write', type=Path, metavar='DOC', help='put the tables into this document')
    return parser


def main(args: argparse.Namespace) -> None:
    """Print the tables or write them."""
    tables = '\n\n'.join(read_comparison(path).markdown() for path in args.results)
    if args.write is None:
        print(tables)
        return
    document = with_tables(read_text(args.write, what='document'), tables, origin=str(args.write))
    try:
        write_atomically(args.write, lambda file: file.write(document.encode()))
    except OSError as error:
        raise UserError(f'--write {args.write}: cannot be written ({error.strerror})') from error
    print(f'written to {args.write}')


def read_comparison(path: Path) -> Comparison:
    """Read a stored comparison.

    Raises:
        UserError: If the file cannot be read or holds something else.
    """
    content = read_json_object(path, what='comparison')
    evaluations = content.get('evaluations')
    needed = {'protocol', 'protocol_hash', 'mAP', 'tious', 'averages', 'average', 'video_list', 'video_list_hash'}
    if not evaluations or not all(isinstance(item, dict) and needed <= item.keys() for item in evaluations):
        raise UserError(
            f'comparison {path}: expected the evaluations of one set of predictions by several protocols; make it with '
            'tools/evaluate.py ... --protocol all --out FILE'
        )
    return Comparison(evaluations=tuple(evaluations), not_applicable=content.get('not_applicable', {}))


def with_tables(document: str, tables: str, *, origin: str) -> str:
    """Return a document with new tables between its marks.

    Raises:
        UserError: If it does not have both marks, in order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f'document {origin}: expected the lines {BEGIN} and {END} around the tables, found not both')
    return f'{before}{begin}\n\n{tables}\n\n{end}{after}'


if __name__ == '__main__':
    run_tool(main, build_parser())

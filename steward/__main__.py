"""The command `steward`. If its modules cannot be imported, it says what is wrong with the installation."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from steward.cli import main as run

        run()
    except ImportError as error:
        if not _explain(error):
            raise
        sys.exit(1)


def _explain(error: ImportError) -> bool:
    """Print the errors of the installation and the failed import; return whether there are such errors."""
    from steward.commands.self_check import table
    from steward.installation import check_installation

    errors = [check for check in check_installation() if check.state == "error"]
    if errors:
        print(f"steward: this installation is broken: {error}\n{table(errors)}", file=sys.stderr)
    return bool(errors)


if __name__ == "__main__":
    main()

"""The command `steward`. If its modules cannot be imported, it says what is wrong with the installation."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from steward.cli import main as run

        run()
    except ImportError:
        _explain()
        raise


def _explain() -> None:
    """Print the errors of the installation, if there are any; the caller shows the failed import."""
    from steward.commands.self_check import table
    from steward.installation import check_installation

    errors = [check for check in check_installation() if check.state == "error"]
    if errors:
        print(f"steward: this installation is broken.\n{table(errors)}\n", file=sys.stderr)


if __name__ == "__main__":
    main()

"""The ``skaba`` command, also as ``python -m skaba``."""

import sys

from skaba._extras import require


def main() -> None:
    """Run the command, or say in one line what has to be installed for it."""
    try:
        require("command", "The skaba command", "typer", "rich", "matplotlib")
    except ImportError as error:
        sys.exit(str(error))
    from skaba.cli import app  # noqa: PLC0415 - it needs what was checked above

    app()


if __name__ == "__main__":
    main()

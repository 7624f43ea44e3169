"""``python -m skaba``: the command, also where its script is not on the path."""

from skaba.cli import app

app()

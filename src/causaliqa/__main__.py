"""``python -m causaliqa``: the same as the ``causaliqa`` command."""

from causaliqa.cli import main

main()

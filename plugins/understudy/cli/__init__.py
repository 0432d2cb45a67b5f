"""``understudy …``: one file for each group of commands. What is slow to import is imported by the command itself."""


def main() -> None:
    """Run the command line."""
    from understudy.cli.app import run

    run()

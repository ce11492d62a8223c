"""``python -m harness`` is ``msa``: the command line as a process of its own."""

from harness._util.stopping import ending_in_one_line

__all__ = ["main"]


def main() -> None:
    """Run the command line; imports can be interrupted like the work itself."""
    ending_in_one_line(_command_line)


def _command_line() -> None:
    from harness._util.streams import guard_streams
    from harness.cli import main as command_line

    guard_streams()
    command_line()


if __name__ == "__main__":
    main()

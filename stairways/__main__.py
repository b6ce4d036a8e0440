"""``python -m stairways`` is the command ``stairways``.

Until it is loaded, Ctrl-C ends the process at once and silently, as in any other program; from
then on the command says what became of its work.
"""

import signal


def start() -> None:
    """Load the command and run it."""
    handler = signal.getsignal(signal.SIGINT)  # ignored, where a shell began it in the background
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from stairways.cli import main  # noqa: PLC0415 - this takes time, in which nothing is at stake

    signal.signal(signal.SIGINT, handler)
    main(prog_name="stairways")


if __name__ == "__main__":
    start()

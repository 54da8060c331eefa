"""Processes that end with the one that started them, however that one ends."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess


def end_with_parent() -> None:
    """Let this process end when the one that started it does, and without a word at Ctrl-C.

    The first act of whatever runs in a process that ``multiprocessing`` spawned. A thread waits at a pipe that only the
    parent holds open; the system closes it when the parent ends, be it killed, on Linux and on macOS alike.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)

"""Runs a module and prints the collector's every pause: `python bench/pauses.py MODULE ARGUMENT...`.

In CPU time of the thread, so that what else the machine does isn't counted. A script, not a module of this
package: the server it runs may be that of another folder.
"""

import gc
import os
import runpy
import sys
import time


def _print_pauses() -> None:
    began = 0

    def on_collection(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time_ns()
            return
        pause = time.thread_time_ns() - began
        os.write(1, b"gc %d %d\n" % (info["generation"], pause))

    gc.callbacks.append(on_collection)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    del sys.argv[0]
    _print_pauses()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

"""The old name of the command `python -m simulations.month`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simulations.month", run_name="__main__", alter_sys=True)

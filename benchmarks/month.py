"""The command `python -m benchmarks.month`, which is `python -m simulations.month` now."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simulations.month", run_name="__main__", alter_sys=True)

"""The command `python -m benchmarks.peers`, which is `python -m simulations.peers` now."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simulations.peers", run_name="__main__", alter_sys=True)

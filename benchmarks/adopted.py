"""The command `python -m benchmarks.adopted`, which is `python -m simulations.adoption` now."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simulations.adoption", run_name="__main__", alter_sys=True)

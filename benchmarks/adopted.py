"""The old name of the command `python -m simulations.adoption`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simulations.adoption", run_name="__main__", alter_sys=True)

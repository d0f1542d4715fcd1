"""Pull requests that add requests or rename models: check, report, merge."""

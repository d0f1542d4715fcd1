"""Pull requests that bring requests or renames: checked, reported on, merged."""

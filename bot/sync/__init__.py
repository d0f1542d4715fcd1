"""One file for each kind of thing that is kept in step with the Hub: gather, decide, act."""

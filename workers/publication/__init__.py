"""Publishing an attempt: the details dataset and its one commit."""

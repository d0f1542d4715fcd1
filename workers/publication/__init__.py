"""Publication of an attempt: one commit to the model's details dataset."""

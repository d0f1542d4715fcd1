"""Commands: what people write in threads to have something done. One file per verb; the rest follows from those."""

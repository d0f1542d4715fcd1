"""Git objects, trees, packs and refs, on pygit2 and by raw bytes."""

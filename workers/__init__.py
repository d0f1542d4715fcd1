"""The evaluation workers: RQ workers on GPU machines, the zygote, sandboxed children, publication."""

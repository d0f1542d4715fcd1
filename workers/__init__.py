"""What evaluates: RQ workers on GPU machines, the zygote, the sandboxed child, publication."""

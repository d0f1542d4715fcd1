"""The child process that runs a model: zygote, isolation, supervision, progress stream."""

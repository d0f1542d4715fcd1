"""The evaluator of code: a model completes functions, and tests call them in processes that can only compute.

    evaluator ── test process ⇄ solution process

The *test process* has the tests of one problem, and calls the solution by messages. The *solution process* runs the
untrusted program; it gets the arguments of each call, and nothing else: neither tests nor expected values, model,
results, files or network. Results are compared in the test process, so no solution can declare itself right.
"""

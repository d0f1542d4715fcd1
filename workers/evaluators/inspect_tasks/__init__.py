"""The evaluator of tasks that are written for inspect-ai: `python -m workers.evaluators.inspect_tasks`.

A task comes from the `eval.yaml` of a benchmark dataset, or from an installed package. inspect-ai asks the model of the
plan by its own provider for transformers, and scores. Samples and results follow from its logs, which are attached.

    settings     the suite's options
    eval_yaml    the tasks of a benchmark dataset
    tasks        makes inspect-ai's tasks, and refuses those that cannot run here
    model        loads the model
    answers      turns a log into samples and results
"""

"""The precision of a submission, and of a check before it, where nobody names one: each has to ask what the other does.

It stands apart from the models of requests so that the command line knows it without loading pydantic.
"""

USUAL_PRECISION = "bfloat16"

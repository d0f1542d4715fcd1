"""Exit statuses of commands, which the supervisor reads too."""

LEFT = 1
"""`steward sync --until-idle` ended while work was due: after its time, or by a signal."""
MISCONFIGURED = 2
"""A setting is missing or wrong, or a service failed during a command."""
AWAY = 4
"""The queue server does not answer at the start; a retry may succeed."""

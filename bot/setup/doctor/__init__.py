"""`steward doctor`: what a board needs, looked at one by one."""

from bot.setup.doctor.examining import against_switching_on, agreement, examine

__all__ = ["against_switching_on", "agreement", "examine"]

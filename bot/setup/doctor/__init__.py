"""`steward doctor`: checks of everything that a board needs."""

from bot.setup.doctor.examining import against_switching_on, agreement, examine

__all__ = ["against_switching_on", "agreement", "examine"]

"""The Docker Space in which the bot of a board runs: what `steward init --space` checks, plans and makes."""

"""What a leaderboard is: records and rules. Pure: no network, no Redis, no clock of its own."""

"""The parts that every slice of the bot uses: board context, guarded writes, roles, mirrors, commands, settings."""

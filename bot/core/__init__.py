"""What every slice of the bot needs: board context, guarded writes, roles, mirrors, commands, texts, settings."""

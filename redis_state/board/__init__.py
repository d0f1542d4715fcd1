"""What the bot keeps in Redis about its board: request index, measures, sessions. Workers never import it."""

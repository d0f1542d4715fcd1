"""Users, organisations, tokens, OAuth."""

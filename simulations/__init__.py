"""Long plays of whole boards: a month, an adoption, Steward beside its peers. Each is a command of its own."""

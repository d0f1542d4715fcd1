"""Simulations of whole boards: a month, an adoption, and Steward beside other backends. Each is a command."""

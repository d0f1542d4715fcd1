"""Signing in with the Hub: one sign-in from the link to the way back, and our app there."""

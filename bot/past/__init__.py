"""A board from before Steward: taken over by `adopting.py`, known by `adoption.py`, and in `hindsight.py` what we would
have done there, beside what people did.
"""

"""The main job on embedded defaults: a small world in which everything is real but the internet."""

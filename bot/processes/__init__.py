"""The processes of the bot: web app, sync loop, scheduler, reconciler. The only package that may import all slices."""

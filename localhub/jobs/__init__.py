"""Jobs: commands of a namespace that run beside this Hub, as processes of this machine."""

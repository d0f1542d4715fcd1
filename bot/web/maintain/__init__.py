"""Pages and API for maintainers: the inbox of deliveries, parked syncs, failures with an unknown cause."""

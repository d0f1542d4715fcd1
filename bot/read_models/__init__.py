"""What pages, the API and commands show: JSON shapes, the queue snapshot, lists of requests."""

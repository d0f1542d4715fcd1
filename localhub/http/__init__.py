"""HTTP helpers: bodies, paging, request ids, file responses, routing."""

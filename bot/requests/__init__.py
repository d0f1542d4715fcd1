"""The sync of a request: admission, submissions, relaunches, and the requests repo as a whole."""

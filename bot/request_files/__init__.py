"""Reading and editing request files, attempt numbers, the status comment, and threads that follow a request."""

"""The test kit: a board on its own local Hub, which tests of Steward and of its extensions drive.

`board` drives a board without processes; `hub` makes local Hubs with the accounts and repos of a board; `running`
starts its web server and sync loops; `waiting` waits for conditions. The kit needs the distribution of `localhub`.
"""

"""What the exit code of a command says; commands return the first two."""

DONE = 0
SOME_FAILED = 1
"""The command ran, but some of its items failed; it says which."""

BAD_INPUT = 2
STOPPED = 130
PIPE_CLOSED = 141

"""Use cases: each command, job and page calls exactly one."""

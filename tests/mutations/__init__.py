"""Each rule, broken on purpose in several ways: the tests must notice every one."""

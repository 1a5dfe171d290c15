"""How often somebody may do something: rates, token buckets, and what counts against which.

Pure but for where the counts are kept. Knows no HTTP, no principal and no account: who asks comes in as names.
"""

"""A version on live traffic: rehearsed, tried on a share of the callers, watched through its probation."""

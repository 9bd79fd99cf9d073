"""`summary.html`: the front page of a run, one file that needs nothing from outside."""

"""Tables derived from the log; they may be thrown away and rebuilt."""

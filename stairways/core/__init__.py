"""Values in, values out: no input or output, no clock, no random source."""

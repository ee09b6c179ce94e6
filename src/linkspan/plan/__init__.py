"""What the kernel should hold, and how to get there. Pure: no I/O, no time, no randomness."""

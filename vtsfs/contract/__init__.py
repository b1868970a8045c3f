"""What the data means: shared by the overlay and the copy agent, free of any I/O library."""

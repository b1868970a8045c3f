"""What the file system means; knows no FUSE library. DESIGN.md beside this package explains it."""

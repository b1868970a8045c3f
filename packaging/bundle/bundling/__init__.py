"""Makes the tree of one version, which needs nothing of the system but its C library and fuse3."""

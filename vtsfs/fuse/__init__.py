"""One engine for the kernel's FUSE protocol: pyfuse3, imported in this package alone."""

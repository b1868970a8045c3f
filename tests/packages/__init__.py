"""What is installed from the built packages, tried in systems of its own: `make test-packages`."""

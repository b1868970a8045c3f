"""Real and fake surroundings for the tests: servers, hosts, mounts."""

"""The SecureVTS gate: an encrypted tape is not opened by a tape engine that cannot get its key."""

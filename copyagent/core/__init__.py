"""Pure decisions: events and the time come in, commands come out. No trio, os, time or random."""

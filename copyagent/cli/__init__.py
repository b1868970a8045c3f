"""The operator's command line: asks the agent over its control socket and shows the answers."""

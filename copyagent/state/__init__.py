"""The agent's durable state: the only SQL of the agent."""

"""The trading environment: whole rollouts of many lanes in arrays; it writes nothing."""

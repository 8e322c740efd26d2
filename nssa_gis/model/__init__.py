"""The network: trunk, neck, head and the three modules of the method. Knows nothing of geography."""

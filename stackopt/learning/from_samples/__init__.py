"""Learning from behaviour: the leader sees what followers do, never why (theory B9, C3)."""

"""``doctor``: is everything there that the daemon needs? It sends no order and changes nothing."""

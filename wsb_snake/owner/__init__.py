"""What the owner asks: status, commands, web page and control socket."""

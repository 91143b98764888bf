"""What the end-to-end tests drive the edge with: origins, clients, forged tokens, one edge."""

"""Peers: other people's methods, each written from its paper, that tercet's models are judged against."""

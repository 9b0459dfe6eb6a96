"""Deciding in real time: the bundle, the engine and the service."""

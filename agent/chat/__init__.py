"""Conversations about parts: facts, turns, and answers that the facts hold."""

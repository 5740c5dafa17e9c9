"""The rules by which the embedded model follows a conversation: what is wanted, and which facts answer it.

It knows words, not language. A question with a word that neither it nor any fact knows is not answered: guessing what was
meant would be worse than saying so.
"""

from agent.embedded_chat.answering import answer
from agent.embedded_chat.understanding import understand

__all__ = ["answer", "understand"]

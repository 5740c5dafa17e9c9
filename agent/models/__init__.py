"""Chat models by their names. The only folder that knows vendors."""

from agent.model_options import ModelOptions
from agent.models.clients import google_class, openai_class
from agent.models.factory import chat_model, is_remote

__all__ = ["ModelOptions", "chat_model", "google_class", "is_remote", "openai_class"]

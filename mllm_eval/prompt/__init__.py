"""What models are asked and how their answers are read: prompts, instructions, strict parsers."""

__all__ = ["instruction", "letters", "outcomes", "parse", "prompt"]

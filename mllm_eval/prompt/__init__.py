"""What models are asked and how their answers are read: prompts, instructions, strict parsers."""

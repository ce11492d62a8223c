"""Zero-shot multimodal language models: media, prompts, answers, scoring."""

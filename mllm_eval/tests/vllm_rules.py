"""Asks vLLM's own parser and request model about cards; run by the server's interpreter.

Each line of standard input is ``[name, arguments, bodies]``; each line of standard output is what
the parser made of the arguments, or the error. It imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys


def main() -> None:
    """Answer until standard input ends."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    answers, sys.stdout = sys.stdout, sys.stderr
    parser = make_arg_parser(FlexibleArgumentParser())
    for line in sys.stdin:
        name, arguments, bodies = json.loads(line)
        told: dict[str, object] = {"name": name}
        errors = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors):
                parsed = parser.parse_args(arguments)
            for body in bodies:
                ChatCompletionRequest.model_validate(body)
            told |= {
                "max_model_len": parsed.max_model_len,
                "limits": parsed.limit_mm_per_prompt,
                "adapters": getattr(parsed, "default_mm_loras", None),
                "kwargs": parsed.mm_processor_kwargs,
                "names": parsed.served_model_name,
            }
        except SystemExit:
            told["error"] = errors.getvalue().strip().splitlines()[-1]
        except ValueError as error:  # pydantic's among them
            told["error"] = str(error)
        answers.write(json.dumps(told, default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

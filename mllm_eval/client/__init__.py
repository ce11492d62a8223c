"""Asking any OpenAI-compatible server, as fast as it can bear, and never twice.

``ask_all`` sends what the journal does not have and returns one ``Answer`` per request, in order.
``ask_settled`` returns last words alone, or fails and says of how many clips they are lacking.
"""

from __future__ import annotations

from mllm_eval.client.ask import ask_all, check_answering
from mllm_eval.client.batch_lines import BatchResponse, batch_line, response_of
from mllm_eval.client.concurrency import Limits, Pace
from mllm_eval.client.endpoint import Client
from mllm_eval.client.journal import KEPT, Answer, Journal
from mllm_eval.client.pooled import PooledRequest, vector_of
from mllm_eval.client.requests import AudioPart, FramePart, Prices, Request, TokenSampling
from mllm_eval.client.served import Served, ask_served
from mllm_eval.client.served_cache import recall, remember
from mllm_eval.client.session import Session
from mllm_eval.client.unanswered import Unanswered, ask_settled, counting

__all__ = [
    "KEPT",
    "Answer",
    "AudioPart",
    "BatchResponse",
    "Client",
    "FramePart",
    "Journal",
    "Limits",
    "Pace",
    "PooledRequest",
    "Prices",
    "Request",
    "Served",
    "Session",
    "TokenSampling",
    "Unanswered",
    "ask_all",
    "ask_served",
    "ask_settled",
    "batch_line",
    "check_answering",
    "counting",
    "recall",
    "remember",
    "response_of",
    "vector_of",
]

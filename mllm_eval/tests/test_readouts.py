"""How a model is read: letters' expected value, and a ridge on hidden states."""

from __future__ import annotations

import base64
import json
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from harness.errors import RunFailed, SpecError
from harness.metrics import best_index, metrics
from harness.system import systems
from mllm_eval.hidden.system import MLLM_HIDDEN, HiddenParams
from mllm_eval.prompt.prompt import prompts
from mllm_eval.server.reference_worker import Model
from mllm_eval.tests.fake_server import completion, serving
from mllm_eval.tests.test_zero_shot import corpus, letters, task_of, words  # noqa: F401  a fixture
from mllm_eval.zero_shot.system import MLLM, MLLMParams


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def logprobs_of(body, missing=()):
    """Of each letter, one of its own, whatever it stands for; some are not listed."""
    told = {letter: -0.3 - 0.7 * place for place, letter in enumerate(sorted(letters(body)))}
    return {letter: p for letter, p in told.items() if letter not in missing}


def listing(body, missing=()):
    tops = [{"token": t, "logprob": p} for t, p in logprobs_of(body, missing).items()]
    tops += [{"token": "The", "logprob": -4.0}]
    answer = completion(tops[0]["token"])
    answer["choices"][0]["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
    return answer


def closed_form(body, missing=()):
    told, levels = logprobs_of(body, missing), letters(body)
    mass = math.fsum(math.exp(p) for p in told.values())
    return math.fsum(levels[letter] * math.exp(p) for letter, p in told.items()) / mass, mass


@pytest.mark.parametrize("missing", [(), ("B", "F", "G")], ids=["all", "some"])
def test_the_expected_value_is_the_closed_form_over_the_letters_that_are_listed(
    corpus,  # noqa: F811
    tmp_path,
    missing,
):
    with serving(lambda body: listing(body, missing)) as server:
        params = MLLMParams(model="m", server=server.url, condition="text", readout="expected")
        fitted = MLLM.fit(task_of(corpus, tmp_path), params)
        test = corpus.split("test")
        found = dict(zip(test.ids, fitted.predict(test), strict=True))
        mass = fitted.diagnose(test)["mass"]
    assert {body["max_tokens"] for body in server.bodies} == {1}
    assert fitted.report["zero_shot"]["readout"] == "expected"
    assert fitted.report["zero_shot"]["prompts"] == ["en-levels"], "no other asks for letters"
    for place, name in enumerate(test.ids):
        about = f"<{name.partition('_')[2]}>"
        (body,) = (body for body in server.bodies if about in words(body))
        value, covered = closed_form(body, missing)
        assert found[name] == pytest.approx(value, abs=1e-12)
        assert mass[place] == pytest.approx(min(covered, 1.0), abs=1e-6)


def test_letters_are_held_to_where_none_may_be_missing(corpus, tmp_path):  # noqa: F811
    with serving(listing) as server:
        params = MLLMParams(
            **{"model": "m", "server": server.url, "condition": "text"},
            **{"readout": "expected", "constrained": True},
        )
        MLLM.fit(task_of(corpus, tmp_path), params)
    held = [body["structured_outputs"] for body in server.bodies]
    assert held == [{"choice": list("ABCDEFG")}] * len(held)


def test_expected_values_are_of_letters_alone(corpus, tmp_path):  # noqa: F811
    params = MLLMParams(model="m", prompt="en-direct", readout="expected", server="http://x/v1")
    with pytest.raises(SpecError, match=r"readout expected is of letters.*en-direct"):
        MLLM.fit(task_of(corpus, tmp_path), params)


# Hidden states


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A random Qwen2 of two layers that knows the words of the corpus, with a chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("weights")
    vocabulary = {chr(code): place for place, code in enumerate(range(32, 127))}
    vocabulary["<unk>"] = len(vocabulary)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    fast.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": len(vocabulary)}
    Qwen2ForCausalLM(Qwen2Config(**size, **heads)).save_pretrained(folder)
    return folder


def embedding(vector):
    coded = base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
    return {
        "model": "m",
        "data": [{"index": 0, "embedding": coded}],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }


def direct(weights, corpus, split):  # noqa: F811
    """(n, H) the states by transformers alone, from the prompt's words."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights)
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32).eval()
    found = []
    for text in corpus.split(split).texts:
        asked = prompts["en-direct"].render(text, -3, 3, None)
        chat = f"[system]{asked.system}[user]{asked.user}[assistant]"
        ids = tokenizer(chat, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            found.append(model.model(ids).last_hidden_state[0, -1].numpy())
    return np.array(found, dtype=np.float64)


@pytest.mark.slow
def test_hidden_states_are_those_of_transformers_and_the_ridge_is_fitted_on_train(
    corpus,  # noqa: F811
    tmp_path,
    weights,
):
    model = Model(str(weights), "", "float32")
    with serving(lambda body: (200, embedding(model.hidden(body)))) as server:
        params = HiddenParams(model="m", server=server.url, condition="text")
        fitted = MLLM_HIDDEN.fit(task_of(corpus, tmp_path), params)
        predicted = fitted.predict(corpus.split("test"))
        asked = len(server.bodies)
        again = MLLM_HIDDEN.fit(task_of(corpus, tmp_path), params)
        assert len(server.bodies) == asked, "what was told is kept"
    assert len({json.dumps(body["messages"]) for body in server.bodies}) == asked == 23
    assert not any("max_tokens" in body or body["use_activation"] for body in server.bodies)
    np.testing.assert_array_equal(again.predict(corpus.split("test")), predicted)

    states = {split: direct(weights, corpus, split) for split in ("train", "valid", "test")}
    mean, scale = states["train"].mean(0), states["train"].std(0)
    x = {split: (found - mean) / scale for split, found in states.items()}
    y = {split: corpus.split(split).labels for split in x}
    models = [
        Ridge(alpha=a, solver="cholesky").fit(x["train"], y["train"]) for a in params.strengths()
    ]
    mae = metrics["mae"]
    scores = [mae(m.predict(x["valid"]), y["valid"], corpus.dataset) for m in models]
    chosen = models[best_index(scores, mae)]
    np.testing.assert_allclose(predicted, chosen.predict(x["test"]), atol=1e-4)
    assert fitted.trainable == 17
    assert fitted.report["hidden_states"]["splits"]["test"] == {"answered": 9}


def test_a_clip_that_the_server_rejects_is_the_training_mean_and_counted(corpus, tmp_path):  # noqa: F811
    test = corpus.split("test")
    number = test.ids[2].split("_")[1]
    generator = np.random.default_rng(0)

    def answer(body):
        if f"<{number}>" in words(body):
            return 400, {"error": {"message": "too long"}}
        return 200, embedding(generator.normal(size=4))

    with serving(answer) as server:
        params = HiddenParams(model="m", server=server.url, condition="text")
        fitted = MLLM_HIDDEN.fit(task_of(corpus, tmp_path), params)
    assert fitted.predict(test)[2] == pytest.approx(corpus.split("train").labels.mean())
    assert fitted.report["hidden_states"]["splits"]["test"] == {"answered": 8, "rejected": 1}


def test_a_server_that_generates_is_no_server_of_states(corpus, tmp_path):  # noqa: F811
    with serving(lambda body: (400, {"error": {"message": "no Embeddings API"}})) as server:
        params = HiddenParams(model="m", server=server.url, condition="text")
        with pytest.raises(RunFailed, match="no Embeddings API"):
            MLLM_HIDDEN.fit(task_of(corpus, tmp_path), params)


def test_readouts_that_learn_share_no_table_with_those_that_do_not():
    assert (systems["mllm"].supervision, systems["mllm_hidden"].supervision) == ("none", "train")

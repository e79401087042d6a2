"""OpenAI's own Python client against a server whose model "tiny" has a token for each byte.

usage: openai_client.py BASE_URL TOKEN

Prints what it tried, one line each; the first that is not as it should be ends it."""
import asyncio
import sys

import openai
from openai import AsyncOpenAI, OpenAI

base, token = sys.argv[1:3]
client = OpenAI(base_url=base, api_key=token, max_retries=0)
messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


def told(what):
    print(what, flush=True)


def refused(kind, **arguments):
    try:
        client.chat.completions.create(**{"model": "tiny", "messages": messages, "max_tokens": 2} | arguments)
    except kind as error:
        return error
    raise AssertionError(f"{arguments} was not refused")


models = client.models.list().data
assert [model.id for model in models] == ["tiny"] and models[0].object == "model"
assert client.models.retrieve("tiny").owned_by == models[0].owned_by
told("models")

chat = client.chat.completions.create(model="tiny", messages=messages, max_tokens=6, seed=3, user="ada")
choice = chat.choices[0]
assert chat.object == "chat.completion" and choice.message.role == "assistant"
assert choice.finish_reason in ("length", "stop") and isinstance(choice.message.content, str)
assert 0 < chat.usage.completion_tokens <= 6
assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens
assert chat._request_id and chat._request_id in chat.id
told("chat")

chunks = list(
    client.chat.completions.create(
        model="tiny", messages=messages, max_tokens=6, seed=3, stream=True, stream_options={"include_usage": True}
    )
)
text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert text == choice.message.content, (text, choice.message.content)
assert chunks[0].choices[0].delta.role == "assistant"
assert chunks[-1].usage == chat.usage and not chunks[-1].choices
assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == choice.finish_reason
told("stream")

likely = client.chat.completions.create(
    model="tiny", messages=messages, max_completion_tokens=4, temperature=0, logprobs=True, top_logprobs=3,
    logit_bias={256: -100},
).choices[0].logprobs.content
assert len(likely) == 4
for entry in likely:
    assert len(entry.top_logprobs) == 3 and entry.logprob <= 0 and isinstance(entry.bytes, list)
    assert max(other.logprob for other in entry.top_logprobs) >= entry.logprob
told("logprobs")

whole = client.completions.create(model="tiny", prompt="abc", max_tokens=40, temperature=0, logprobs=2)
assert whole.object == "text_completion" and len(whole.choices[0].logprobs.tokens) == whole.usage.completion_tokens
found = whole.choices[0].text
stop = next(character for character in found[3:] if character.isascii() and character.isprintable())
stopped = client.completions.create(model="tiny", prompt="abc", max_tokens=40, temperature=0, stop=[stop]).choices[0]
assert stopped.text == found[: found.index(stop)] and stopped.finish_reason == "stop"
told("stop")

several = client.completions.create(model="tiny", prompt=["a", [98, 99]], max_tokens=3, n=2, seed=1)
assert [each.index for each in several.choices] == [0, 1, 2, 3]
pieces = list(client.completions.create(model="tiny", prompt="abc", max_tokens=40, temperature=0, stream=True))
assert "".join(piece.choices[0].text for piece in pieces) == found
told("completions")

tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
client.chat.completions.create(model="tiny", messages=messages, max_tokens=2, tools=tools, tool_choice="auto")
told("tools")

error = refused(openai.BadRequestError, temperature=3)
assert error.param == "temperature" and error.code == "invalid_value" and error.type == "invalid_request_error"
assert refused(openai.NotFoundError, model="none").code == "model_not_found"
assert refused(openai.BadRequestError, response_format={"type": "json_object"}).param == "response_format"
assert refused(openai.BadRequestError, extra_body={"temprature": 1}).param == "temprature"
client = OpenAI(base_url=base, api_key="qat_wrong", max_retries=0)
assert refused(openai.AuthenticationError).code == "invalid_api_key"
told("errors")


async def together():
    client = AsyncOpenAI(base_url=base, api_key=token, max_retries=0)

    async def one(number):
        stream = await client.chat.completions.create(
            model="tiny", messages=messages, max_tokens=8, seed=number, stream=True
        )
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    first = await asyncio.gather(*(one(number) for number in range(16)))
    # The same by themselves.
    assert first[5] == await one(5) and first[15] == await one(15)
    stream = await client.chat.completions.create(model="tiny", messages=messages, stream=True)
    async for _ in stream:
        break
    await stream.close()


asyncio.run(together())
told("together")

"""OpenAI's client for Python against a service: completions, chats, streams, structured output, tools, responses,
errors, aborts. Also what LlamaIndex's OpenAILike sends, which is a thin layer over this client. The model must be
served with tools. Prints a line for each, and ends with 1 if one failed.

    python3 -m venv target/openai-python && target/openai-python/bin/pip install openai==3.22.1
    target/openai-python/bin/python tools/clients/openai_python.py http://localhost:8080
"""

import asyncio
import os
import sys
from enum import Enum
from typing import Optional

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

BASE_URL = sys.argv[1] + "/v1"
API_KEY = os.environ.get("OPENAI_API_KEY", "any")
FEW = 5
MANY = 200

client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0)
model = client.models.list().data[0].id


class Unit(str, Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Weather(BaseModel):
    unit: Unit
    dry: bool
    note: Optional[str]


class Hour(BaseModel):
    """The hour of a place"""

    zone: Unit
    summer: bool


def user(words):
    return [{"role": "user", "content": words}]


def completion():
    answer = client.completions.create(model=model, prompt="Once upon a time", max_tokens=FEW)
    assert answer.usage.completion_tokens == FEW
    stream = client.completions.create(model=model, prompt="Once upon a time", max_tokens=FEW, stream=True)
    assert len(list(stream)) >= FEW


def chat():
    answer = client.chat.completions.create(model=model, messages=user("Hello"), max_tokens=FEW)
    assert answer.choices[0].message.content
    chunks = list(
        client.chat.completions.create(
            model=model, messages=user("Hello"), max_tokens=FEW, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].usage.completion_tokens == FEW


def structured_output():
    asked = {"model": model, "messages": user("The weather"), "response_format": Weather, "max_tokens": MANY}
    assert client.chat.completions.parse(**asked).choices[0].message.parsed.unit
    with client.chat.completions.stream(**asked) as stream:
        assert stream.get_final_completion().choices[0].message.parsed.unit


def tools():
    asked = {"model": model, "tools": [openai.pydantic_function_tool(Hour)]}
    words = user("What time is it?")
    message = (
        client.chat.completions.parse(**asked, messages=words, tool_choice="required", max_tokens=MANY)
        .choices[0]
        .message
    )
    call = message.tool_calls[0]
    assert call.function.parsed_arguments.zone
    result = {"role": "tool", "tool_call_id": call.id, "content": "noon"}
    answer = client.chat.completions.create(
        **asked, messages=[*words, message, result], tool_choice="none", max_tokens=FEW
    )
    assert answer.choices[0].message.content
    with client.chat.completions.stream(**asked, messages=words, tool_choice="required", max_tokens=MANY) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
        assert calls[0].function.parsed_arguments.zone


def responses():
    assert client.responses.create(model=model, input="Hello", max_output_tokens=FEW).output_text
    asked = {"model": model, "input": "The weather", "text_format": Weather, "max_output_tokens": MANY}
    assert client.responses.parse(**asked).output_parsed.unit
    with client.responses.stream(**asked) as stream:
        assert stream.get_final_response().output_parsed.unit


def llama_index():
    content = [{"type": "text", "text": "Hello"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    asked = {"messages": messages, "model": model, "temperature": 0.1, "max_tokens": FEW}
    assert client.chat.completions.create(**asked, stream=False).choices[0].message.content
    assert list(client.chat.completions.create(**asked, stream=True))


def errors():
    try:
        client.chat.completions.create(model=model, messages=user("Hello"), temperature=9)
    except openai.BadRequestError as e:
        assert e.param == "temperature"
    else:
        raise AssertionError("no error")


def abort():
    async def first_chunk():
        async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY) as other:
            stream = await other.chat.completions.create(
                model=model, messages=user("Hello"), max_tokens=MANY, stream=True
            )
            async for _ in stream:
                break
            await stream.close()

    asyncio.run(first_chunk())


failed = False
for check in (completion, chat, structured_output, tools, responses, llama_index, errors, abort):
    try:
        check()
        print("ok    ", check.__name__)
    except Exception as e:
        failed = True
        print("FAILED", check.__name__, repr(e))
sys.exit(failed)

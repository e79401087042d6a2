"""Conversations as chat templates render them, their tokens, and which of those an assistant said.

usage: make_chat_fixtures.py > chat.json

Made with Transformers 4.57.1, tokenizers 0.22.2, Jinja2 3.1.6 and Python 3.11, from tokenizer-*.json beside this file.
Texts, tokens and the masks of templates with {% generation %} are apply_chat_template's
(return_assistant_tokens_mask). Of templates without, an answer is what lies between the text that ends in the prompt
for it and the text that ends with it, and its tokens are those whose offsets touch it.
"""

import json
import pathlib
import sys

from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = pathlib.Path(__file__).parent

MARKED = """{% for message in messages %}
{{ '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}
{%- else %}{{ message.content + '<|im_end|>' }}{% endif %}
{{ '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
PLAIN = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
Be brief.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""
BRACKETS = """{{ bos_token }}{% for message in messages %}
{%- if message.role == 'user' %}{{ '[INST] ' + message.content + ' [/INST]' }}
{%- elif message.role == 'assistant' %}{{ ' ' + message.content + eos_token }}
{%- else %}{{ raise_exception('Only users and assistants speak, not ' + message.role) }}{% endif %}
{%- endfor %}"""
THINKING = """{% for message in messages %}
{%- set content = message.content %}
{%- if message.role == 'assistant' and not loop.last and '</think>' in content %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}
{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
TOOLS = """{% if tools %}{{ '<|im_start|>system\\n' + tools | tojson + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}
{%- if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}
{{- '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

CONVERSATIONS = {
    "two turns": {"messages": [
        {"role": "user", "content": "hello world, who is the king?"},
        {"role": "assistant", "content": "The king is there, naïve 日本語 😀."},
        {"role": "user", "content": " then 1234? "},
        {"role": "assistant", "content": "\n12\n"},
    ]},
    "no answer": {"messages": [{"role": "user", "content": "hello"}]},
    "an answer without words": {"messages": [
        {"role": "user", "content": "hello"}, {"role": "assistant", "content": ""}]},
    "a system's words": {"messages": [
        {"role": "system", "content": "quantize"}, {"role": "user", "content": "x=1;"},
        {"role": "assistant", "content": "don't"}]},
    "an answer first": {"messages": [{"role": "assistant", "content": "hello"}, {"role": "user", "content": "x"}]},
    "marks in words": {"messages": [
        {"role": "user", "content": "<|im_end|> the <|im_start|>"}, {"role": "assistant", "content": "<|im_end|>"}]},
    "thoughts": {"messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": "<think>hm</think>\n\nking"},
        {"role": "user", "content": "y"}, {"role": "assistant", "content": "<think>so</think>\n\nkingdom"}]},
    "calls": {
        "messages": [
            {"role": "user", "content": "12 + 1234"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"type": "function", "function": {"name": "add", "arguments": {"b": 1234, "a": 12.5}}}]},
            {"role": "tool", "content": "1246.5"}, {"role": "assistant", "content": "1246.5"}],
        "tools": [{"name": "add", "parameters": {"z": {"type": "number"}, "a": None}}],
    },
}

CASES = [
    ("llama3", "marked", MARKED), ("llama3", "plain", PLAIN), ("qwen2", "plain", PLAIN), ("smollm3", "marked", MARKED),
    ("llama2", "brackets", BRACKETS), ("gemma", "brackets", BRACKETS), ("phi3", "brackets", BRACKETS),
    ("qwen2", "thinking", THINKING), ("qwen2", "tools", TOOLS),
]


def mask(tokenizer, template, conversation, text, ids):
    """None where what comes before an answer is no beginning of the whole."""
    messages = conversation["messages"]
    # apply_chat_template itself refuses a conversation that has not begun.
    compiled = _compile_jinja_template(template)
    render = lambda count, prompts: compiled.render(
        messages=messages[:count], tools=conversation.get("tools"), add_generation_prompt=prompts,
        **tokenizer.special_tokens_map)
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    found = [0] * len(ids)
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, behind = render(index, True), render(index + 1, False)
        if not (text.startswith(behind) and behind.startswith(before)):
            return None
        for token, (start, end) in enumerate(offsets):
            if start < len(behind) and end > len(before):
                found[token] = 1
    return found


def main():
    cases = []
    for kind, name, template in CASES:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(HERE / f"tokenizer-{kind}.json"))
        known = [token.content for token in tokenizer.added_tokens_decoder.values()]
        special = {"bos_token": "<s>", "eos_token": "</s>"} if "<s>" in known else {"eos_token": "<|im_end|>"}
        for key, value in special.items():
            setattr(tokenizer, key, value)
        for title, conversation in CONVERSATIONS.items():
            if (title == "calls") != (name == "tools"):
                continue
            found = {"tokenizer": kind, "template": template, "special": special, "name": f"{kind}, {name}: {title}",
                     "line": json.dumps(conversation, ensure_ascii=False)}
            try:
                found["text"] = tokenizer.apply_chat_template(
                    conversation["messages"], tools=conversation.get("tools"), chat_template=template, tokenize=False)
            except Exception as error:
                found["error"] = str(error)
                cases.append(found)
                continue
            ids = tokenizer(found["text"], add_special_tokens=False)["input_ids"]
            found["tokens"] = ids
            if "endgeneration" in template:
                answer = tokenizer.apply_chat_template(
                    conversation["messages"], chat_template=template, return_dict=True, return_assistant_tokens_mask=True)
                assert answer["input_ids"] == ids
                found["mask"] = answer["assistant_masks"]
            else:
                found["mask"] = mask(tokenizer, template, conversation, found["text"], ids)
            cases.append(found)
    json.dump(cases, sys.stdout, indent=1, ensure_ascii=False)


main()

"""Templates with what Jinja makes of them, as Hugging Face's apply_chat_template sets it up.

usage: make_template_fixtures.py > templates.json

Made with Jinja2 3.1.6 and Python 3.11.7. The environment is that of transformers/utils/chat_template_utils.py
(4.57): sandboxed and immutable, trim_blocks, lstrip_blocks, loop controls, tojson by json.dumps without escapes above
ASCII, raise_exception, and {% generation %} around what an assistant said, whose offsets are kept.

A case: the template, its values, and either the text with the ranges of {% generation %} in UTF-8 bytes, or the error's
kind. Objects are written as {"pairs": [[key, value], ...]}, so that their order survives any reader.
"""

import json
import random
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

SEED = 20261127


class Refused(Exception):
    pass


class Generation(jinja2.ext.Extension):
    """Keeps where in the text its bodies came to stand, by marks that are taken out again."""

    tags = {"generation"}
    START, END = "\ue000\ue001", "\ue002\ue003"

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_mark")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _mark(self, caller):
        return self.START + caller() + self.END


def dumps(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def refuse(message):
    raise Refused(message)


ENVIRONMENT = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
ENVIRONMENT.filters["tojson"] = dumps
ENVIRONMENT.globals["raise_exception"] = refuse
for name in ("lipsum", "cycler", "joiner"):
    del ENVIRONMENT.globals[name]


def render(template, values):
    text = ENVIRONMENT.from_string(template).render(**values)
    ranges, plain = [], ""
    while Generation.START in text:
        before, _, rest = text.partition(Generation.START)
        inside, _, text = rest.partition(Generation.END)
        plain += before
        start = len(plain.encode())
        plain += inside
        ranges.append([start, len(plain.encode())])
    return plain + text, ranges


def kind(error):
    if isinstance(error, Refused):
        return "refused"
    if isinstance(error, jinja2.UndefinedError):
        return "undefined"
    if isinstance(error, jinja2.TemplateSyntaxError):
        return "syntax"
    return "type"


def pairs(value):
    if isinstance(value, dict):
        return {"pairs": [[key, pairs(item)] for key, item in value.items()]}
    if isinstance(value, list):
        return [pairs(item) for item in value]
    return value


def case(name, template, values):
    found = {"name": name, "template": template, "values": pairs(values)}
    try:
        found["text"], found["generated"] = render(template, values)
    except Exception as error:
        found["error"] = kind(error)
        if isinstance(error, Refused):
            found["message"] = str(error)
    return found


# What the expressions name.
VALUES = {
    "n": 3, "m": -7, "x": 2.5, "big": 123456789012, "tiny": 0.00001, "yes": True, "no": False, "nothing": None,
    "s": "Hello World", "t": "  a b  c ", "u": "Straße 日本 é", "empty": "", "lines": "one\ntwo\n\nthree\r\nfour",
    "l": [3, 1, 2], "w": ["b", "A", "c", "a"], "d": {"b": 1, "a": "two", "c": [1, 2]}, "e": [], "o": {},
    "users": [{"name": "Ann", "age": 31, "tags": ["x"]}, {"name": "bob", "age": 7, "tags": []},
              {"name": "Cid", "age": 31}],
}

EXPRESSIONS = """
1 + 2 * 3
2 ** 3 ** 2
-2 ** 2
-7 // 2
-7 % 3
7 % -3
7.5 // 2
7.5 % -2
1 / 2
6 / 2
1e3
1e16
1e15
123456789.0
0.1 + 0.2
tiny
1.5e-7
big * 2
n ~ m ~ x
"a" "b" 'c'
'it''s'
"tab\\tnew\\nline \\u00e9 \\x41 \\q"
(1, 2, "x")
(1,)
()
[1, 'a', "it's", none, true, 2.0]
{'a': 1, "b": [1, {'c': none}]}
yes and n
no or s
not yes
not no and yes
n == 3
n == 3.0
yes == 1
'a' == 'a'
1 < 2 < 3
1 < 2 > 3
'a' < 'b'
[1, 2] < [1, 3]
1 in l
9 in l
'b' in d
'World' in s
'x' not in s
not 'x' in s
1 in e
undefined_name
undefined_name is defined
undefined_name.member
undefined_name[0]
undefined_name + 1
undefined_name == none
undefined_name | length
undefined_name()
x if yes else n
x if no
(x if no) is defined
'a' if n > 2 else 'b' if n > 1 else 'c'
l[0] ~ l[-1]
l[9] is defined
l[1:]
l[:-1]
l[::-1]
l[::2]
l[2:0:-1]
s[1:4]
s[-1]
u[7]
u | length
s[::-1]
d.b
d['a']
d.missing is defined
d.items is defined
d.get('a')
d.get('q')
d.get('q', 5)
d.items() | list
d.keys() | list
d.values() | list
d | length
d | items | list
d | dictsort
d | list
o | length
users[0].name
users[2].tags is defined
users | map(attribute='name') | list
users | map(attribute='age') | sum
users | map(attribute='tags', default=[]) | list
users | selectattr('age', 'equalto', 31) | map(attribute='name') | join(', ')
users | selectattr('tags') | list | length
users | rejectattr('tags', 'defined') | map(attribute='name') | list
users | sort(attribute='age') | map(attribute='name') | list
users | sort(attribute='age,name', reverse=true) | map(attribute='name') | list
w | sort
w | sort(case_sensitive=true)
w | sort(reverse=true)
w | unique | list
['a', 'A', 'b'] | unique | list
w | map('upper') | list
w | map('replace', 'a', '-') | list
w | select('in', ['a', 'b']) | list
l | select('odd') | list
l | reject('gt', 1) | list
[0, 1, none, ''] | select | list
l | max
l | min
w | max
e | max
l | sum
l | first
e | first
w | last
w | join
w | join('-')
l | join('+')
s | upper
s | lower
u | upper
s | title
"it's a-test (of) titles" | title
"it's a-test".title()
u | capitalize
t | trim
'xxaxx' | trim('x')
t | length
s | replace('l', 'L')
s | replace('l', 'L', 1)
s | replace('', '-')
s | list
s | reverse
l | reverse | list
'42' | int
' 42 ' | int
'42.9' | int
'nope' | int
'nope' | int(7)
'ff' | int(0, 16)
x | int
m | abs
-2.5 | abs
'2.5' | float
n | float
2.5 | round
3.5 | round
2.4 | round(0, 'ceil')
2.6 | round(method='floor')
n | string
none | string
yes | string
x | string
lines | indent
lines | indent(2)
lines | indent(2, true)
lines | indent(2, blank=true)
lines | indent('> ')
undefined_name | default('fallback')
empty | default('fallback')
empty | default('fallback', true)
none | d('q')
none | default('q', boolean=true)
d | tojson
d | tojson(indent=2)
d | tojson(indent=4, sort_keys=true)
users | tojson(separators=(',', ':'))
u | tojson
u | tojson(ensure_ascii=true)
"a\\"b\\\\c\\n\\t/\\u0001\\u007f" | tojson
[1.0, 2.5, true, none, 1e20] | tojson
[] | tojson(indent=2)
{} | tojson
undefined_name | tojson
s.upper()
s.lower()
t.strip()
t.lstrip()
t.rstrip()
'xxaxx'.strip('x')
t.split()
t.split(' ')
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
t.split(none, 1)
'a b'.rsplit()
lines.splitlines()
lines.splitlines(true)
s.startswith('Hello')
s.startswith(('x', 'H'))
s.endswith('d')
s.find('o')
s.rfind('o')
s.find('z')
u.find('日')
s.index('W')
s.index('z')
s.count('o')
s.count('')
s.replace('o', '0')
s.replace('o', '0', 1)
'-'.join(w)
'-'.join(l)
'Hello'.removeprefix('He')
'Hello'.removesuffix('lo')
'a1'.isalnum()
'12'.isdigit()
'ab'.isalpha()
' '.isspace()
'AB'.isupper()
'ab'.islower()
w.index('A')
w.count('b')
w.append('x')
d.update({'a': 1})
d.pop('a')
s.__class__
n is number
n is integer
x is float
s is string
yes is boolean
none is none
d is mapping
l is sequence
s is sequence
s is iterable
n is iterable
n is odd
n is even
n is divisibleby 3
n is divisibleby(2)
n is eq 3
n is ne 3
n is gt 2
n is in [1, 2, 3]
n is not in [1, 2]
n is sameas 3
yes is true
no is false
1 is true
s is upper
'abc' is lower
range is callable
s is not string
not s is string
n + 1 is odd
range(3) | list
range(1, 10, 3) | list
range(5, 0, -2) | list
dict(a=1, b='x')
namespace(a=1).a
[1] + [2, 3]
[1] * 2
'ab' * 3
3 * 'ab'
(1, 2) + (3,)
'a' + 1
1 + 'a'
l + 1
n / 0
n // 0
n.foo
n.foo.bar
none.foo
none[0]
nothing ~ '!'
1 if
(1
[1, 2
{'a' 1}
1 +
| upper
s | nosuchfilter
s is nosuchtest
s upper
1 2
a b
"unended
s[
s.
d | dictsort(by='value')
[[2, 'b'], [1, 'a']] | sort
[[2, 'b'], [1, 'a']] | map('first') | list
[[2, 'b'], [1, 'a']] | map(attribute=1) | list
['1', '2'] | map('int') | sum
[1, 2.5] | sum
[[1], [2]] | sum(start=[])
s | upper | lower | title
(s | upper)[0:3]
s.split(' ')[0].lower()
s.split(' ') | map('first') | join
-n | abs
- n | abs
not n | abs
1 ~ 2 + 3
1 + 2 ~ 3
1 - 1 - 1
2 * 3 % 4
8 // 3 * 2
1 == 1 == 1
(1 == 1) == true
1 <= 1.0
n >= x
true < 2
nothing == false
'' == none
[1, [2]] == [1, [2]]
{'a': 1} == {'a': 1.0}
(1, 2) == [1, 2]
'é' == 'e\\u0301'
loop is defined
true ~ false ~ none
True and False or None
'{{ not a tag }}'
"%}"
{'a': {'b': {'c': 1}}}.a.b.c
[[1, 2], [3, 4]][1][0]
'a' in {'a': 1}
'a' in ['b', 'ab']
'a' in 'ab'
1 in 'ab'
n in (1, 2, 3)
1_000
1.
.5
'\\101'
'a' ~ 'b' if yes else 'c'
[1, 2, 3] | map('string') | join('/')
s | first
u | last
d | first
d | join(',')
l | list | length
s | count
s|attr('upper')
users | map(attribute='name') | map('lower') | sort | join(' ')
users | map(attribute='missing') | list
users | map(attribute='tags.0', default='-') | list
users | selectattr('tags', 'defined') | selectattr('tags') | map(attribute='name') | list
users | max(attribute='age')
users | sum(attribute='age')
users | unique(attribute='age') | map(attribute='name') | list
users | join(', ', attribute='name')
""".strip("\n").split("\n")

CHAT = {
    "messages": [
        {"role": "system", "content": " You are terse. "},
        {"role": "user", "content": "What is 2 + 2?"},
        {"role": "assistant", "content": "Vier, auf Deutsch: größer als 3."},
        {"role": "user", "content": [{"type": "text", "text": "And 3 + 3?"}, {"type": "text", "text": " Hm?"}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"type": "function", "function": {"name": "add", "arguments": {"a": 3, "b": 3.5, "why": "日本"}}}]},
        {"role": "tool", "name": "add", "content": "6.5"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nSix and a half.\n"},
    ],
    "tools": [{"type": "function", "function": {
        "name": "add", "description": "Adds \"numbers\".",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}}}],
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True,
}

TEMPLATES = {
    "roles in marks": """{{ bos_token }}
{%- for message in messages %}
    {%- if loop.first and message.role != 'system' %}
        {{- '<|start|>system\\nHelpful.<|end|>\\n' }}
    {%- endif %}
    {{- '<|start|>' + message['role'] + '\\n' }}
    {%- if message.content is string %}
        {%- if message.role == 'assistant' %}
            {%- generation %}{{ message.content | trim }}{{ '<|end|>' }}{% endgeneration %}
        {%- else %}
            {{- message.content | trim + '<|end|>' }}
        {%- endif %}
    {%- elif message.content is none %}
        {%- for call in message.tool_calls %}
            {{- '<call>' ~ (call.function | tojson) ~ '</call>' }}
        {%- endfor %}
    {%- else %}
        {%- for part in message.content %}{{ part.text }}{% endfor %}
    {%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant\\n' }}
{%- endif %}
""",
    "a system message set aside": """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}
{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{% set turns = rest | rejectattr('role', 'equalto', 'tool') | list %}
{% for message in turns %}
{% if (message['role'] == 'user') == (loop.index0 % 2 == 0) %}
[{{ message.role[0] | upper }}{% if loop.last and system %}: {{ system.strip() }}{% endif %}]
{% else %}
<{{ loop.index }}/{{ loop.length }} {{ loop.revindex0 }} {{ loop.previtem.role if not loop.first }}>
{% endif %}
{% endfor %}
""",
    "a namespace and a reversed walk": """{%- set ns = namespace(found=false, last=-1, text='') -%}
{%- for message in messages[::-1] -%}
    {%- set index = (messages | length - 1) - loop.index0 -%}
    {%- if not ns.found and message.role == 'user' and message.content is not string -%}
        {%- set ns.found = true -%}
        {%- set ns.last = index -%}
    {%- endif -%}
    {%- set ns.text = ns.text ~ message.role[0] -%}
{%- endfor -%}
{{ ns.found }} {{ ns.last }} {{ ns.text }}
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.content %}
        {%- set content = message.content %}
        {%- set thought = '' %}
        {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '\\n' + loop.index0 ~ ': ' ~ content }}
        {%- if loop.index0 > ns.last and thought %} ({{ thought }}){% endif %}
    {%- endif %}
{%- endfor %}
""",
    "macros": """{% macro show(value, depth=0) %}
{% if value is mapping %}{
{% for key, item in value.items() %}
{{ '  ' * (depth + 1) }}{{ key }}: {{ show(item, depth + 1) }}
{% endfor %}
{{ '  ' * depth }}}{% elif value is iterable and value is not string %}[{% for item in value %}{{ show(item, depth) }}{{ ", " if not loop.last }}{% endfor %}]
{%- else %}{{ value | tojson }}{% endif %}
{% endmacro %}
{% macro wrap(text, left='<', right='>') -%} {{ left }}{{ text }}{{ right }} {%- endmacro %}
{{ show(tools[0]) }}
{{ wrap('a') }}{{ wrap('b', right=']') }}{{ wrap('c', '[', ']') }}|{{ wrap() }}|
""",
    "white space": """   {% if true %}
  a
   {%+ if true %}
  b
  {%- endif %}
  c
  {% endif -%}
   d {# gone #}
  {# gone with its line #}
  e {{- ' f ' -}} g
{{ 'h' }}
{% raw %}  {{ not.rendered }} {% if %}
  {% endraw %}
{%- raw -%}  x {%- endraw %}
i
\t{% set x = 1 %}  j
{% for i in range(3) -%}
  {{ i }},
{%- endfor +%}
k


""",
    "loops": """{% for a, b in [(1, 2), (3, 4)] %}{{ a }}-{{ b }};{% endfor %}
{% for i in range(10) if i is odd %}{{ loop.index }}:{{ i }}{{ ',' if not loop.last }}{% else %}none{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for k in {'a': 1, 'b': 2} %}{{ k }}{{ loop.cycle('x', 'y') }}{% endfor %}
{% for c in 'añ日' %}{{ c }}.{% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}
{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{% endfor %}
{% for i in range(2) %}{% for j in range(2) %}{{ loop.depth }}{{ i }}{{ j }} {% endfor %}{% endfor %}
{{ loop is defined }}
{% if true %}{% set inner = 4 %}{% endif %}{{ inner }}
{% with a = 1, b = x %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}{{ c is defined }}
""",
    "captures": """{% set text %}  a {{ 1 + 1 }}
 b{% endset %}[{{ text }}]{% set up | upper | trim %} shout {% endset %}[{{ up }}]
{% filter upper | replace('A', 'b') %}a{{ 'c' }}{% endfilter %}
{% set a, b = 1, 'two' %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c + d }}
{% set ns = namespace() %}{% set ns.x = [] %}{% for i in range(3) %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x }}
""",
    "turns that must alternate": """{% for message in messages %}
{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Roles must alternate: ' ~ message.role ~ ' at ' ~ loop.index0) }}
{% endif %}
{% endfor %}
""",
    "marks of what was said": """{% for message in messages %}
{% if message.role == 'assistant' %}
A:{% generation %}{{ message.content or 'é' }}
{% endgeneration %}
{% else %}
{{ message.role }}:
{% endif %}
{% endfor %}
""",
    "a namespace is no dictionary": "{% set d = {} %}{% set d.x = 1 %}",
    "a tag unknown": "{% nothing %}",
    "an end too many": "{% endif %}",
    "an end too few": "{% if true %}a",
    "another's end": "{% if true %}{% endfor %}",
    "too few values": "{% set a, b = [1] %}",
    "too many arguments": "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "an argument unknown": "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=1) }}",
    "newlines of Windows": "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n",
    "no end of a comment": "a {# b",
    "no end of a tag": "a {{ b",
    "a bracket too many": "{{ (1)) }}",
    "unicode names": "{% set größe = 1 %}{{ größe }}",
    "text alone": "just { text } with { % signs % } and #}",
    "nothing": "",
    "a newline": "\n",
    "two newlines": "\n\n",
}


class Maker:
    """Random expressions."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def expression(self, depth):
        pick = self.random.choice
        if depth == 0:
            return pick(["n", "m", "x", "yes", "no", "nothing", "s", "t", "u", "empty", "l", "w", "d", "e", "1", "0", "2.5",
                         "'a'", "'o'", "[]", "none", "true", "missing", "users"])
        one = lambda: self.expression(depth - 1)
        return pick([
            lambda: f"{one()} {pick(['+', '-', '*', '~', '//', '/'])} {one()}",
            lambda: f"({one()})",
            lambda: f"{one()} {pick(['==', '!=', '<', '>', '<=', '>=', 'in', 'not in'])} {one()}",
            lambda: f"{one()} {pick(['and', 'or'])} {one()}",
            lambda: f"not {one()}",
            lambda: f"-{one()}",
            lambda: f"({one()})[{one()}]",
            # Jinja folds slices of constants, and finds them undefined where they are errors otherwise.
            lambda: f"({one()} if yes else no)[{pick(['', '1', '-2', 'n'])}:{pick(['', '2', '-1'])}{pick(['', ':-1', ':2'])}]",
            lambda: f"({one()}).{pick(['name', 'a', 'upper()', 'strip()', 'split()', 'keys() | list', 'get(1)'])}",
            lambda: f"{one()} | {pick(FILTERS)}",
            lambda: f"{one()} is {pick(['', 'not '])}{pick(TESTS)}",
            lambda: f"{one()} if {one()} else {one()}",
            lambda: f"[{one()}, {one()}]",
            lambda: "{'k': " + one() + "}",
        ])()


FILTERS = [
    "upper", "length", "list", "first", "last", "join('-')", "tojson", "string", "int", "float", "abs", "sort",
    "default('q')", "default('q', true)", "trim", "title", "capitalize", "replace('a', 'b')", "reverse | list", "unique | list",
    "max", "min", "sum", "map('string') | list", "select('string') | list", "reject('none') | list", "indent", "items | list",
]
TESTS = ["defined", "none", "string", "number", "mapping", "sequence", "iterable", "true", "odd", "eq 1", "in [1, 'a']"]


def main():
    cases = [case(f"expression: {text}", "{{ " + text + " }}", VALUES) for text in EXPRESSIONS]
    cases += [case(name, text, CHAT) for name, text in TEMPLATES.items()]
    maker = Maker(SEED)
    seen = set()
    while len(seen) < 1500:
        text = maker.expression(maker.random.randint(1, 3))
        # Jinja takes `not` for a name where no operator can stand.
        if text in seen or "in not" in text:
            continue
        seen.add(text)
        cases.append(case(f"random: {text}", "{{ " + text + " }}", VALUES))
    # Generators and bound methods print their addresses.
    cases = [found for found in cases if "object at 0x" not in found.get("text", "")]
    # Values are written once.
    for found in cases:
        if found["values"] == pairs(VALUES):
            found["values"] = "expressions"
        elif found["values"] == pairs(CHAT):
            found["values"] = "chat"
    json.dump({"values": {"expressions": pairs(VALUES), "chat": pairs(CHAT)}, "cases": cases}, sys.stdout, indent=0, ensure_ascii=False)


main()

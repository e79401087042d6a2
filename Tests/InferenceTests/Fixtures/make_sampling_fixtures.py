#!/usr/bin/env python3
"""Writes sampling.json: what Hugging Face Transformers' logits processors make of random logits.

    pip install torch==2.13.0+cpu transformers==4.57.1
    python make_sampling_fixtures.py

Presence and frequency penalties are not Transformers' but OpenAI's; their definition (API reference, "Frequency and
presence penalties") is written out here.
"""
import collections
import json
import os

import torch
import transformers
from transformers.generation import logits_process as processors

CASES = [
    {},
    {"temperature": 0.7},
    {"top_k": 1},
    {"top_k": 7},
    {"temperature": 1.3, "top_k": 20},
    {"top_p": 0.9},
    {"temperature": 2.0, "top_p": 0.5},
    {"temperature": 0.7, "top_p": 0.9, "top_k": 40},
    {"top_p": 1e-3},
    {"min_p": 0.1},
    {"temperature": 1.5, "top_k": 30, "top_p": 0.95, "min_p": 0.05},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8, "temperature": 0.9},
    {"presence_penalty": 1.5},
    {"frequency_penalty": 0.7, "presence_penalty": -0.5},
    {"logit_bias": {"3": 5.0, "17": -100.0}, "top_p": 0.8},
    {"repetition_penalty": 1.2, "presence_penalty": 0.4, "frequency_penalty": 0.3, "temperature": 0.8,
     "top_k": 50, "top_p": 0.9, "min_p": 0.02},
]


def distribution(logits, prompt, text, case):
    """Probabilities of each token, 0 of those left out."""
    scores = logits.clone()
    for token, bias in case.get("logit_bias", {}).items():
        scores[0, int(token)] += bias
    ids = torch.tensor([prompt + text])
    if "repetition_penalty" in case:
        scores = processors.RepetitionPenaltyLogitsProcessor(case["repetition_penalty"])(ids, scores)
    for token, count in collections.Counter(text).items():
        scores[0, token] -= case.get("presence_penalty", 0) + count * case.get("frequency_penalty", 0)
    if case.get("temperature", 1) != 1:
        scores = processors.TemperatureLogitsWarper(case["temperature"])(ids, scores)
    if "top_k" in case:
        scores = processors.TopKLogitsWarper(case["top_k"])(ids, scores)
    if "top_p" in case:
        scores = processors.TopPLogitsWarper(case["top_p"])(ids, scores)
    if "min_p" in case:
        scores = processors.MinPLogitsWarper(case["min_p"])(ids, scores)
    return torch.softmax(scores.double(), dim=-1)[0].tolist()


def main():
    torch.manual_seed(31)
    size = 200
    prompt = torch.randint(0, size, (12,)).tolist()
    text = torch.randint(0, size, (9,)).tolist() + [5, 5, 5]
    cases = []
    for case in CASES:
        logits = (torch.randn(1, size) * 3).float()
        expected = distribution(logits, prompt, text, case)
        cases.append({"parameters": case, "logits": logits[0].tolist(), "expected": expected})
    fixture = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__}, "seed": 31,
        "prompt": prompt, "text": text, "cases": cases,
    }
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sampling.json"), "w") as file:
        json.dump(fixture, file)


if __name__ == "__main__":
    main()

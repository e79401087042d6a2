"""Corpora written by Megatron-Core, and what its GPTDataset makes of them.

usage: PYTHONPATH=SITE python3 make_corpus_fixtures.py FOLDER
Made with Python 3.11.7, megatron-core 0.16.1 (wheel, unpacked into SITE), torch 2.13.0, numpy 2.4.6; seed 5.
Writes corpus-uint16.{bin,idx} (31 sequences in 30 documents, one of them empty, every other one ended by token 0),
corpus-int32.{bin,idx} and corpus-second.{bin,idx} (9 documents), and corpus.json:
  sizes, tokens     of each corpus
  orders            windows of GPTDataset in the order of its indices, for a seed, a split and a number of samples;
                    add_extra_token_to_sequence is False, so that a sample has seq_length tokens
  blends            windows of BlendedDataset over corpus-uint16 and corpus-second by weights, which of both each is of
  masks             position ids, loss mask and attention mask of windows
  splits            borders of documents by a splits string, as BlendedMegatronDatasetBuilder rounds them
  permutations      torch.randperm by a generator of a seed, as MegatronPretrainingRandomSampler draws them
  shuffles          numpy.random.RandomState(seed).shuffle of a range, twice in a row
"""
import json, os, sys, tempfile

import numpy, torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.blended_megatron_dataset_config import (
    convert_split_vector_to_split_matrix, parse_and_normalize_split)
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig, _get_ltor_masks_and_position_ids
from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder

folder = sys.argv[1]
# Blends ask for a rank.
torch.distributed.init_process_group("gloo", init_method="tcp://127.0.0.1:29517", rank=0, world_size=1)
rng = numpy.random.RandomState(5)


class Tokenizer:
    eod, pad, vocab_size, unique_identifiers = 0, -1, 300, {"name": "numbers"}


def write(name, documents, dtype):
    builder = IndexedDatasetBuilder(f"{folder}/{name}.bin", dtype=dtype)
    for sequences in documents:
        builder.add_document([t for s in sequences for t in s], [len(s) for s in sequences])
    builder.finalize(f"{folder}/{name}.idx")
    sequences = [s for d in documents for s in d]
    return {"name": name, "sizes": [len(s) for s in sequences], "documents": len(documents),
            "tokens": [int(t) for s in sequences for t in s]}


def document(index):
    tokens = rng.randint(1, 300, size=rng.randint(1, 60)).tolist()
    return tokens + ([0] if index % 2 == 0 else [])


documents = [[document(i)] for i in range(30)]
documents[7] = [[]]
documents[11] = [document(11), document(12)]
corpora = [write("corpus-uint16", documents, DType.optimal_dtype(300)),
           write("corpus-int32", [[[1, 70000, 2]], [[3, 0]]], DType.optimal_dtype(70001))]


second = numpy.random.RandomState(6)
corpora.append(write("corpus-second", [[second.randint(1, 300, size=second.randint(10, 50)).tolist() + [0]] for _ in range(9)],
                     DType.optimal_dtype(300)))


def blend(weights, length, samples, seed, split):
    with tempfile.TemporaryDirectory() as cache:
        config = GPTDatasetConfig(
            random_seed=seed, sequence_length=length,
            blend=([f"{folder}/corpus-uint16", f"{folder}/corpus-second"], weights), split=split, path_to_cache=cache,
            tokenizer=Tokenizer(), reset_position_ids=False, reset_attention_mask=False, eod_mask_loss=False,
            add_extra_token_to_sequence=False)
        built = BlendedMegatronDatasetBuilder(
            GPTDataset, [samples, 1, 1], lambda: True, config).build()[0]
        items = [built[i] for i in range(samples)]
    return {"weights": weights, "length": length, "samples": samples, "seed": seed, "split": split,
            "sources": [int(i["dataset_id"]) for i in items], "windows": [i["tokens"].tolist() for i in items]}


def order(length, samples, seed, split, which):
    with tempfile.TemporaryDirectory() as cache:
        config = GPTDatasetConfig(
            random_seed=seed, sequence_length=length, blend=([f"{folder}/corpus-uint16"], None), split=split,
            path_to_cache=cache, tokenizer=Tokenizer(), reset_position_ids=True, reset_attention_mask=True,
            eod_mask_loss=True, add_extra_token_to_sequence=False)
        counts = [None, None, None]
        counts[which] = samples
        built = BlendedMegatronDatasetBuilder(GPTDataset, counts, lambda: True, config).build()[which]
        windows = [built[i]["tokens"].tolist() for i in range(len(built))]
    return {"length": length, "samples": samples, "seed": seed, "split": split, "part": which, "windows": windows}


orders = [order(16, 20, 1234, "100,0,0", 0),     # within one epoch
          order(16, 60, 1234, "100,0,0", 0),     # last epoch separate
          order(16, 105, 7, "100,0,0", 0),        # last epoch nearly whole: mixed with the first
          order(32, 150, 4294967295, "90,10,0", 0),
          order(16, None, 42, "90,10,0", 0),     # one epoch, whatever a run takes
          order(8, 5, 3, "80,15,5", 1)]

blends = [blend([0.3, 0.7], 16, 40, 1234, "100,0,0"),
          blend([3.0, 1.0], 16, 101, 7, "100,0,0"),     # weights of any sum
          blend([1.0, 1.0], 8, 33, 42, "90,10,0"),
          blend([0.95, 0.05], 16, 7, 5, "100,0,0")]     # fewer windows than the second's share is ever due


def masks(tokens, positions, attention, loss):
    mask, loss_mask, ids = _get_ltor_masks_and_position_ids(
        torch.tensor(tokens), 0, positions, attention, loss, True)
    return {"tokens": tokens, "reset_position_ids": positions, "reset_attention_mask": attention,
            "eod_mask_loss": loss, "position_ids": ids.tolist(), "loss_mask": loss_mask.int().tolist(),
            # The first key that each query sees; those from there to itself are all seen.
            "first": [int((~row).int().argmax()) for row in mask[0]]}


windows = [[5, 6, 0, 7, 8, 9, 0, 4], [0, 0, 3, 4, 5, 0, 0, 1], [1, 2, 3, 4, 5, 6, 7, 0], [1, 2, 3, 4, 5, 6, 7, 8]]
switches = [(False, False, False), (True, False, False), (False, True, False), (True, True, True)]


def borders(split, count):
    matrix = convert_split_vector_to_split_matrix(parse_and_normalize_split(split))
    return [None if s is None else [int(round(s[0] * float(count))), int(round(s[1] * float(count)))] for s in matrix]


def shuffles(seed, count):
    state, values = numpy.random.RandomState(seed), []
    for _ in range(2):
        array = numpy.arange(count, dtype=numpy.int32)
        state.shuffle(array)
        values.append(array.tolist())
    return {"seed": seed, "count": count, "orders": values}


result = {
    "corpora": corpora,
    "orders": orders,
    "blends": blends,
    "masks": [masks(w, *s) for w in windows for s in switches],
    "splits": [{"split": s, "count": n, "borders": borders(s, n)}
               for s in ["99,1,0", "90,5,5", "949,50,1", "1,1,1", "100,0,0", "0,1,0", ".5,.25,.25", "969, 30, 1"]
               for n in [1, 2, 5, 10, 31, 50, 99, 1000, 12345]],
    "permutations": [{"seed": s, "count": n,
                      "order": torch.randperm(n, generator=torch.Generator().manual_seed(s)).tolist()}
                     for s, n in [(0, 1), (0, 10), (1, 37), (12, 100)]],
    "shuffles": [shuffles(s, n) for s, n in [(0, 1), (1234, 10), (4294967295, 40)]],
}
with open(f"{folder}/corpus.json", "w") as file:
    json.dump(result, file, separators=(",", ":"))

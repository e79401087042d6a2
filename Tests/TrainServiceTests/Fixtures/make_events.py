"""The event files that TensorBoard's own messages and record writer make of a few rows.

usage: python3 make_events.py > events.json      (pip install tensorboard==2.21.0)
       python3 make_events.py --read FOLDER      what TensorBoard reads in a run's tensorboard/
Made with Python 3.11, tensorboard 2.21.0, protobuf 7.36.2; no random numbers. Histograms have 30 buckets of equal
width between the least and the largest value, upper ends inclusive. All figures of a layer are different numbers.
"""
import base64, io, json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

SHOWN = ["std", "amax", "mean_absolute_error", "sqnr_db", "saturated_share", "gradient_norm", "update_ratio",
         "flipped_share"]
# What formats share: of the step, whichever it takes, and of the model as it came.
SHARED = ["baseline_perplexity", "learning_rate", "tokens_per_second", "model_flops_utilization", "peak_memory_bytes",
          "rolled_back_from", "learning_rate_factor"]


def layer(i):
    return {"mean": 0.001 * i, "std": 0.02 + i / 1000, "min": -1.0 - i, "max": 0.5 + i, "amax": 1.0 + i,
            "mean_absolute_error": i / 64, "sqnr_db": 17.0 + i / 3, "saturated_share": 0.125 + i / 256,
            "gradient_norm": 0.0625 * i * i, "update_ratio": 1e-4 + i / 4096, "flipped_share": 0.03125 + i / 512}


STEP = {"loss": 0.4375, "divergence": 0.25, "cross_entropy": 0.125, "hidden_error": 0.0625, "gradient_norm": 0.0,
        "mean_absolute_error_max": 0.09375, "sqnr_db_min": 17.0, "update_ratio_max": 0.0015, "flipped_share_mean": 0.04,
        "learning_rate": 1e-4, "tokens_per_second": 4096.5, "model_flops_utilization": 0.375, "peak_memory_bytes": 3e9}
LAST = {"mean": 0.0, "std": 0.02, "min": -1.0, "max": 1.0, "amax": 1.0, "mean_absolute_error": 0.0, "sqnr_db": None}
ONE_FORMAT = [
    {"step": 0, "time": 1764000000.25, "baseline_perplexity": 41.95, "ptq_perplexity": 72.75, "start_perplexity": 60.5},
    {"step": 10, "time": 1764000010.5, "stage": "mxfp4", **STEP,
     "layers": {f"model.layers.{i}.mlp.up_proj": layer(i) for i in range(7)}},
    {"step": 20, "time": 1764000011.0, "validation_perplexity": 50.5},
    {"step": 15, "time": 1764000012.0, "rolled_back_from": 21, "learning_rate_factor": 0.5},
    {"step": 300, "time": 1764000200.0, "stage": "mxfp4", "loss": 0.25, "gradient_norm": 1.5, "learning_rate": 1e-5,
     "layers": {"lm_head": LAST}},
    {"step": 300, "time": 1764000201.0, "qat_perplexity": 43.25},
]
TWO_FORMATS = [
    {"step": 0, "time": 1764000000.25, "baseline_perplexity": 41.95},
    {"step": 0, "time": 1764000000.25, "format": "mxfp8", "ptq_perplexity": 42.5},
    {"step": 9, "time": 1764000010.0, "stage": "mxfp8", "format": "mxfp8", **STEP,
     "layers": {f"model.layers.{i}.mlp.up_proj": layer(i + 9) for i in range(3)}},
    {"step": 10, "time": 1764000010.5, "stage": "mxfp4", "format": "mxfp4", **STEP,
     "layers": {f"model.layers.{i}.mlp.up_proj": layer(i) for i in range(3)}},
    {"step": 10, "time": 1764000011.0, "format": "mxfp4", "validation_perplexity": 50.5},
    {"step": 10, "time": 1764000012.0, "format": "mxfp8", "qat_perplexity": 42.25},
]


def histogram(values):
    low, high = min(values), max(values)
    limits = [low + (high - low) / 30 * k for k in range(1, 30)] + [high] if high > low else [high]
    counts = [0.0] * len(limits)
    for value in values:
        counts[next(k for k, limit in enumerate(limits) if value <= limit)] += 1
    return HistogramProto(min=low, max=high, num=len(values), sum=sum(sorted(values)),
                          sum_squares=sum(v * v for v in sorted(values)), bucket_limit=limits, bucket=counts)


def event(row):
    values = []
    suffix = "." + row["format"] if "format" in row else ""
    for name in sorted(set(row) - {"step", "time", "stage", "format", "layers"}):
        tag = ("validation/" if name.endswith("_perplexity") else "train/") + name
        values.append(Summary.Value(tag=tag + ("" if name in SHARED else suffix), simple_value=row[name]))
    for name in SHOWN:
        figures = [layer[name] for layer in row.get("layers", {}).values() if layer.get(name) is not None]
        if figures:
            values.append(Summary.Value(tag=f"layers/{name}{suffix}", histo=histogram(figures)))
    return Event(wall_time=row["time"], step=row["step"], summary=Summary(value=values))


def file(rows):
    class Kept(io.BytesIO):
        def close(self):
            pass
    kept = Kept()
    writer = RecordWriter(kept)
    for made in [Event(wall_time=rows[0]["time"], file_version="brain.Event:2")] + [event(row) for row in rows]:
        writer.write(made.SerializeToString())
    writer.flush()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    return {"rows": lines, "file": base64.b64encode(kept.getvalue()).decode()}


if sys.argv[1:2] == ["--read"]:
    found = EventAccumulator(sys.argv[2]).Reload()
    for tag in found.Tags()["scalars"]:
        print(tag, [(e.step, e.value) for e in found.Scalars(tag)])
    for tag in found.Tags()["histograms"]:
        print(tag, [(e.step, e.histogram_value.num) for e in found.Histograms(tag)])
else:
    print(json.dumps([file(ONE_FORMAT), file(TWO_FORMATS)]))

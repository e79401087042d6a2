"""The event file that TensorBoard's own messages and record writer make of a few rows.

usage: python3 make_events.py > events.json      (pip install tensorboard==2.21.0)
       python3 make_events.py --read FOLDER      what TensorBoard reads in a run's tensorboard/
Made with Python 3.11, tensorboard 2.21.0, protobuf 7.36.2; no random numbers. Histograms have 30 buckets of equal
width between the least and the largest value, upper ends inclusive.
"""
import base64, io, json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

LAYER = ["mean", "std", "min", "max", "amax", "mean_absolute_error", "sqnr_db"]
ROWS = [
    {"step": 0, "time": 1764000000.25, "baseline_perplexity": 41.95, "ptq_perplexity": 72.75},
    {"step": 10, "time": 1764000010.5, "stage": "mxfp4", "loss": 0.4375, "gradient_norm": 0.0, "learning_rate": 1e-4,
     "layers": {f"model.layers.{i}.mlp.up_proj": dict(zip(LAYER, [0.0, 0.02 + i / 1000, -1.0, 0.5 + i, 1.0 + i,
                                                               i / 64, 17.0 + i / 3])) for i in range(7)}},
    {"step": 300, "time": 1764000200.0, "stage": "mxfp4", "loss": 0.25, "gradient_norm": 1.5, "learning_rate": 1e-5,
     "layers": {"lm_head": dict(zip(LAYER, [0.0, 0.02, -1.0, 1.0, 1.0, 0.0, None]))}},
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
    for name in sorted(set(row) - {"step", "time", "stage", "layers"}):
        tag = ("validation/" if name.endswith("_perplexity") else "train/") + name
        values.append(Summary.Value(tag=tag, simple_value=row[name]))
    for name in ["sqnr_db", "mean_absolute_error", "amax", "std"]:
        figures = [layer[name] for layer in row.get("layers", {}).values() if layer[name] is not None]
        if figures:
            values.append(Summary.Value(tag=f"layers/{name}", histo=histogram(figures)))
    return Event(wall_time=row["time"], step=row["step"], summary=Summary(value=values))


if sys.argv[1:2] == ["--read"]:
    found = EventAccumulator(sys.argv[2]).Reload()
    for tag in found.Tags()["scalars"]:
        print(tag, [(e.step, e.value) for e in found.Scalars(tag)])
    for tag in found.Tags()["histograms"]:
        print(tag, [(e.step, e.histogram_value.num) for e in found.Histograms(tag)])
else:
    class Kept(io.BytesIO):
        def close(self):
            pass
    file = Kept()
    writer = RecordWriter(file)
    for made in [Event(wall_time=ROWS[0]["time"], file_version="brain.Event:2")] + [event(row) for row in ROWS]:
        writer.write(made.SerializeToString())
    writer.flush()
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    print(json.dumps({"rows": lines, "file": base64.b64encode(file.getvalue()).decode()}))

"""Generated questions in the public layouts, and what lm-evaluation-harness finds of a tiny model on them.

usage: python3 make_question_fixtures.py    (writes into folders beside itself)
Made with Python 3.11.7, lm-eval 0.4.9.1, torch 2.13.0, transformers 4.57.1, datasets 3.6.0. The
questions come of seed 20, the problems of 21; model/ is the case `llama` of ArchitectureTests with 2048 positions and the
tokenizer `bytelevel`. Everything is FP32 on one thread. README.md says what each file holds.
"""
import csv, json, logging, pathlib, random, shutil, tempfile, warnings

import torch, transformers, yaml
import lm_eval, lm_eval.tasks
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM

HERE = pathlib.Path(__file__).parent
TASKS = pathlib.Path(lm_eval.tasks.__file__).parent
COUNT, EXAMPLES, SEED = 200, 24, 20
SUBJECTS = ["abstract_algebra", "high_school_us_history", "virology"]
WORDS = ("the a of to river engine Paris naïve 12 3.5 green, cell; \"why\" which before ÆTHER light "
         "(sum) x+y growth Straße salt's house over under ΣΊΣΥΦΟΣ water heat café answer").split(" ")
torch.set_num_threads(1)
warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
logging.disable(logging.WARNING)
rnd = random.Random(SEED)


def words(low, high):
    return " ".join(rnd.choice(WORDS) for _ in range(rnd.randint(low, high)))


def answers(count, low=1, high=5):
    found = []
    while len(found) < count:
        text = words(low, high)
        if text not in found:
            found.append(text)
    return found


def mmlu(subject):
    question = words(4, 12)
    question = rnd.choice(["", "", " ", "\n"]) + question + rnd.choice(["?", "?", "? ", "\nchoose"])
    return dict(question=question, subject=subject, choices=answers(4), answer=rnd.randrange(4))


def hellaswag(number):
    marks = ["", "", " [title] ", " [step] ", "  "]
    return dict(
        ind=number, activity_label=words(1, 2), ctx_a=words(4, 8) + rnd.choice(marks) + words(1, 3),
        ctx_b=rnd.choice(["", words(1, 3), "éTUDE " + words(1, 2), "ǆabc", "ΑΣ. " + words(1, 1)]),
        ctx="", endings=[a + rnd.choice(marks) + words(1, 3) for a in answers(4)],
        source_id="generated", split="val", split_type="indomain", label=str(rnd.randrange(4)))


def arc(number):
    count = rnd.choice([4, 4, 4, 3, 5])
    labels = list("ABCDE" if rnd.random() < 0.8 else "12345")[:count]
    return dict(id=f"generated_{number}", question=words(4, 12) + "?",
                choices=dict(text=answers(count), label=labels), answerKey=rnd.choice(labels))


def piqa(number):
    first, second = answers(2, 3, 8)
    return dict(goal=words(3, 8) + rnd.choice(["", ".", "?"]), sol1=first, sol2=second,
                label=rnd.randrange(2))


def winogrande(number):
    first, second = answers(2, 1, 1)
    sentence = words(3, 7) + rnd.choice([" _ ", " _ ", " _", " the _ "]) + words(2, 6) + "."
    return dict(sentence=sentence, option1=first, option2=second, answer=rnd.choice("12"))


def truthfulqa(number):
    count, right = rnd.randint(3, 7), rnd.randint(1, 2)
    def targets(right):
        return dict(choices=answers(count), labels=[int(i < right) for i in range(count)])
    return dict(question=words(4, 9) + "?", mc1_targets=targets(1), mc2_targets=targets(right))


def boolq(number):
    return dict(question=words(4, 8), passage=words(10, 25), idx=number, label=rnd.randrange(2))


def lines(name, rows):
    path = HERE / "questions" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def table(subject, split, rows):
    path = HERE / "questions" / "mmlu" / f"{subject}_{split}.csv"
    path.parent.mkdir(exist_ok=True, parents=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        for row in rows:
            out.writerow([row["question"], *row["choices"], "ABCD"[row["answer"]]])


def local(folder, task, base, splits, **more):
    """A task of the harness that reads local files and is otherwise as it is."""
    config = dict(include=str(TASKS / base), task=task, dataset_path="json", dataset_name=None,
                  dataset_kwargs=dict(data_files=splits)) | more
    (folder / f"{task}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


class Loader(yaml.SafeLoader):
    pass


def run(model, folder, task, few_shot):
    manager = lm_eval.tasks.TaskManager(include_path=str(folder), include_defaults=False)
    found = simple_evaluate(model=model, tasks=[task], num_fewshot=few_shot, task_manager=manager,
                            log_samples=True, bootstrap_iters=0, verbosity="ERROR")
    samples = sorted(found["samples"][task], key=lambda s: s["doc_id"])
    return found["results"][task], samples


def summary(results, samples, few_shot):
    """What a test compares: all sums, and the first prompts."""
    metrics = {k.split(",")[0]: v for k, v in results.items() if k.endswith(",none") and "stderr" not in k}
    rows = []
    for sample in samples:
        row = dict(lls=[round(r[0][0], 6) for r in sample["resps"]])
        rows.append(row | {k: sample[k] for k in ("acc", "acc_norm") if k in sample})
    arguments = [[list(a.values())[:2] if isinstance(a, dict) else list(a[:2]) for a in (
        s["arguments"].values() if isinstance(s["arguments"], dict) else s["arguments"])] for s in samples[:3]]
    return dict(few_shot=few_shot, metrics=metrics, first_requests=arguments, samples=rows)


def write(name, document):
    path = HERE / "expected" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(name, document.get("metrics"), flush=True)


def choices(model, short, folder):
    per_subject = dict(zip(SUBJECTS, (70, 65, 65)))
    tests = [mmlu(s) for s in SUBJECTS for _ in range(per_subject[s])]
    devs = [mmlu(s) for s in SUBJECTS for _ in range(5)]
    lines("mmlu", tests), lines("mmlu_dev", devs)
    for subject in SUBJECTS:
        own = lambda rows: [r for r in rows if r["subject"] == subject]
        table(subject, "test", own(tests)), table(subject, "dev", own(devs))
        splits = dict(test=str(folder / f"{subject}_test.jsonl"), dev=str(folder / f"{subject}_dev.jsonl"))
        for split, rows in (("test", tests), ("dev", devs)):
            pathlib.Path(splits[split]).write_text("".join(json.dumps(r) + "\n" for r in own(rows)))
        about = " ".join(subject.split("_"))
        local(folder, f"q_mmlu_{subject}", "mmlu/default/_default_template_yaml", splits,
              description=f"The following are multiple choice questions (with answers) about {about}.\n\n")
        for shots in (0, 5):
            write(f"mmlu_{subject}_{shots}", summary(*run(model, folder, f"q_mmlu_{subject}", shots), shots))
    for name, base, make, shots in (
            ("hellaswag", "hellaswag/hellaswag.yaml", hellaswag, (0, 3)),
            ("arc_easy", "arc/arc_easy.yaml", arc, (0, 3)),
            ("piqa", "piqa/piqa.yaml", piqa, (0, 2)),
            ("winogrande", "winogrande/default.yaml", winogrande, (0, 6)),
            ("truthfulqa_mc1", "truthfulqa/truthfulqa_mc1.yaml", truthfulqa, (0,)),
            ("truthfulqa_mc2", "truthfulqa/truthfulqa_mc2.yaml", None, (0,)),
            ("boolq", "super_glue/boolq/default.yaml", boolq, (0, 2))):
        file = name.split("_mc")[0]
        path = HERE / "questions" / f"{file}.jsonl"
        more = {}
        if make:
            lines(file, [make(i) for i in range(COUNT)])
        splits = dict(validation=str(path), test=str(path))
        if max(shots):
            splits["train"] = lines(f"{file}_train", [make(COUNT + i) for i in range(EXAMPLES)])
        local(folder, f"q_{name}", base, splits)
        for count in shots:
            write(f"{name}_{count}", summary(*run(model, folder, f"q_{name}", count), count))
    # Contexts that are cut from the left.
    write("arc_easy_3_cut", summary(*run(short, folder, "q_arc_easy", 3), 3) | dict(positions=96))


def gsm8k(number):
    steps = " ".join(f"{words(2, 4)} {rnd.randint(1, 99)}" for _ in range(rnd.randint(1, 3)))
    return dict(question=words(5, 12) + "?", answer=f"{steps}.\n#### {rnd.choice(['', '-', '1,'])}{rnd.randint(100, 999)}")


def outputs():
    """Texts that a model might end with, and numbers in all forms."""
    numbers = ["7", "-7", "1,234", "$5", "$1,200.50", "3.", "0.5", "-$3", "--8", "$", "..", "12-5", "５", "9,", "-"]
    marks = ["#### ", "#### ", "####", "The answer is ", "= ", "####  ", ""]
    ends = ["", ".", "\n", " apples", ".\n", " #### ", "\n#### 5"]
    return [words(0, 4) + " " + "".join(rnd.choice(marks) + rnd.choice(numbers) + rnd.choice(ends)
            for _ in range(rnd.randint(0, 3))) for _ in range(300)]


def problems(model, folder):
    rnd.seed(SEED + 1)
    tests, trains = [gsm8k(i) for i in range(40)], [gsm8k(i) for i in range(EXAMPLES)]
    splits = dict(test=lines("gsm8k", tests), train=lines("gsm8k_train", trains))
    local(folder, "q_gsm8k", "gsm8k/gsm8k.yaml", splits)
    manager = lm_eval.tasks.TaskManager(include_path=str(folder), include_defaults=False)
    found = simple_evaluate(model=model, tasks=["q_gsm8k"], num_fewshot=5, task_manager=manager, limit=12,
                            log_samples=True, bootstrap_iters=0, verbosity="ERROR")
    samples = [s for s in found["samples"]["q_gsm8k"] if s["filter"] == "strict-match"]
    samples = sorted(samples, key=lambda s: s["doc_id"])
    rows = [dict(prompt=s["arguments"]["gen_args_0"]["arg_0"] if isinstance(s["arguments"], dict)
                 else s["arguments"][0][0], text=s["resps"][0][0]) for s in samples]
    task = lm_eval.tasks.get_task_dict(["q_gsm8k"], manager)["q_gsm8k"]
    texts, golds, filtered = outputs(), [], []
    for text in texts:
        doc = rnd.choice(tests)
        row = dict(text=text, answer=doc["answer"])
        for ensemble in task._filters:
            resps, docs = [[text]], [doc]
            for make in ensemble.filters:
                resps = make().apply(resps, docs)
            value = list(resps)[0]
            key = ensemble.name.split("-")[0]
            row[key] = value
            row[key + "_match"] = int(task.process_results(doc, [value])["exact_match"])
        if rnd.random() < 0.5 and row["flexible"] != "[invalid]":
            gold = dict(doc, answer=f"so\n#### {row['flexible']}")
            row["answer"] = gold["answer"]
            for key in ("strict", "flexible"):
                row[key + "_match"] = int(task.process_results(gold, [row[key]])["exact_match"])
        filtered.append(row)
    write("gsm8k_5", dict(few_shot=5, samples=rows, filters=filtered))


if __name__ == "__main__":
    transformers.set_seed(SEED)
    net = transformers.AutoModelForCausalLM.from_pretrained(HERE / "model", dtype=torch.float32)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(HERE / "model")
    def adapter(**more):
        return HFLM(pretrained=net, tokenizer=tokenizer, batch_size=16, **more)
    with tempfile.TemporaryDirectory() as name:
        choices(adapter(), adapter(max_length=96), pathlib.Path(name))
        problems(HFLM(pretrained=net, tokenizer=tokenizer, batch_size=1), pathlib.Path(name))

"""Opens folders of `posgrad export --format hf` with transformers and compares.

    python tests/golden/check_hf.py FOLDER...

For each: the folder opens by its Auto class with no code beside it, no key missing, none too many;
the logits of every row of posgrad_reference.json are those that posgrad had; greedy generation, which
keeps keys and values, gives what whole rows give; the tokenizer reads back what it wrote and refuses
unknown words. Exits with 1 where anything differs. Needs transformers and torch; nothing else of
posgrad does.

    python tests/golden/check_hf.py --golden OUT FOLDER...

also writes the logits of transformers, and the digests of the files that it read, into
OUT/FOLDER.json. The golden files of test_golden_hf.c are made so, of the folders that it writes:

    build/float-*/tests/golden/test_golden_hf --write FOLDERS
    python tests/golden/check_hf.py --golden tests/golden/hf FOLDERS/*

by transformers 5.24.0, and encoder-shaw by 4.57.6, as 5 has no keys by distance (torch 2.14.1,
of alibi and of rows past the training 2.13.0; CPU).
"""

import argparse
import hashlib
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import transformers  # noqa: E402
from packaging.specifiers import SpecifierSet  # noqa: E402

transformers.logging.set_verbosity_error()


class Wrong(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Wrong(text)


def open_model(folder, reference):
    auto = getattr(transformers, reference["model_class"])
    model, info = auto.from_pretrained(folder, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        need(not info.get(kind), f"{kind}: {info.get(kind)}")
    need(model.dtype == torch.float32, f"opened as {model.dtype}")
    return model.eval()


def compare_rows(model, reference):
    """The largest difference, in units of what is tolerated."""
    worst, logits = 0.0, []
    for row in reference["rows"]:
        ids = torch.tensor([row["input_ids"]])
        mask = torch.tensor([row["attention_mask"]])
        ours = torch.tensor(row["logits"])
        with torch.no_grad():
            theirs = model(input_ids=ids, attention_mask=mask).logits[0]
            if mask.all():
                plain = model(input_ids=ids).logits[0]
                need(torch.equal(plain, theirs) or (plain - theirs).abs().max() < 1e-4,
                     "a mask of ones changes logits")
        need(theirs.shape == ours.shape, f"logits {list(theirs.shape)}, not {list(ours.shape)}")
        seen = mask[0].bool()
        allowed = reference["tolerance"] * max(1.0, ours.abs().max().item())
        difference = (theirs - ours)[seen].abs().max().item()
        need(difference == difference, "logits are NaN")
        worst = max(worst, difference / allowed)
        logits.append(theirs)
    need(worst <= 1, f"logits differ by {worst:.3g} times what is tolerated")
    return worst, logits


def compare_generation(model, reference):
    if "CausalLM" not in reference["model_class"]:
        return
    ids = torch.tensor([reference["rows"][1]["input_ids"][:4] or [0]])
    room = getattr(model.config, "max_position_embeddings", 16) - ids.shape[1]
    if room < 1:
        return
    count = min(room, 6)
    with torch.no_grad():
        made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count,
                              do_sample=False, pad_token_id=0)
        whole = ids
        for _ in range(count):
            step = model(input_ids=whole).logits[0, -1].argmax()
            whole = torch.cat([whole, step[None, None]], dim=1)
    need(torch.equal(made, whole), f"generate gives {made.tolist()}, whole rows {whole.tolist()}")


def compare_tokenizer(folder, model, reference):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    vocabulary = tokenizer.get_vocab()
    size = model.config.vocab_size
    need(sorted(vocabulary.values()) == list(range(size)), f"{len(vocabulary)} names, {size} tokens")
    need(len(tokenizer) == size, f"the tokenizer has {len(tokenizer)} tokens, the model {size}")
    kind = json.load(open(os.path.join(folder, "tokenizer.json")))["model"]["type"]
    if kind == "BPE":  # of bytes
        for text in ("Hello, world\n", "tab\there", "na\u00efve \u20ac \U0001f600 ", ""):
            ids = tokenizer(text)["input_ids"]
            need(ids == list(text.encode()), f"{text!r} gives {ids}")
            need(tokenizer.decode(ids) == text, f"{ids} read back as {tokenizer.decode(ids)!r}")
        for token in range(256, size):
            name = tokenizer.convert_ids_to_tokens(token)
            need(tokenizer("a" + name + " b")["input_ids"] == [97, token, 32, 98], f"{name}")
        return
    for row in reference["rows"] + [{"input_ids": list(range(min(size, 2000)))}]:
        text = tokenizer.decode(row["input_ids"])
        ids = tokenizer(text)["input_ids"]
        need(ids == row["input_ids"], f"{text!r} reads back as {ids}")
        need(len(text.split()) == len(ids), f"{text!r} has not a word a token")
    try:
        ids = tokenizer("certainly-no-token")["input_ids"]
    except Exception:
        return
    raise Wrong(f"an unknown word gives {ids}")


def write_golden(out, folder, logits):
    digests = {}
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        with open(os.path.join(folder, name), "rb") as file:
            digests[name] = hashlib.sha256(file.read()).hexdigest()
    rows = [[float(f"{value:.7g}") for value in row.flatten().tolist()] for row in logits]
    golden = {"transformers": transformers.__version__, "torch": torch.__version__,
              "sha256": digests, "logits": rows}
    path = os.path.join(out, os.path.basename(os.path.normpath(folder)) + ".json")
    with open(path, "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


def check(folder, golden):
    with open(os.path.join(folder, "posgrad_reference.json")) as file:
        reference = json.load(file)
    if transformers.__version__ not in SpecifierSet(reference["transformers"], prereleases=True):
        return f"skip, as it is for transformers {reference['transformers']}"
    torch.manual_seed(1)  # what is not loaded is random, and not by chance the same
    model = open_model(folder, reference)
    worst, logits = compare_rows(model, reference)
    compare_generation(model, reference)
    compare_tokenizer(folder, model, reference)
    if golden:
        write_golden(golden, folder, logits)
    largest = max(abs(v) for row in reference["rows"] for line in row["logits"] for v in line)
    return (f"ok {type(model).__name__}, {len(reference['rows'])} rows of "
            f"{sorted(len(row['input_ids']) for row in reference['rows'])}, largest logit "
            f"{largest:.3g}, worst {worst:.2g} of what is tolerated")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--golden", metavar="OUT")
    arguments = parser.parse_args()
    bad = 0
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    for folder in arguments.folder:
        try:
            print(f"{folder}: {check(folder, arguments.golden)}", flush=True)
        except Exception as error:
            bad += 1
            print(f"{folder}: WRONG {type(error).__name__}: {error}", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()

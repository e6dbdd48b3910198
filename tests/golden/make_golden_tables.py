"""Small files of tables as other programs make them, named as in published models, for
test_golden_tables.c: safetensors and its converter to bfloat16, numpy, h5py.

    pip install numpy safetensors torch h5py
    python tests/golden/make_golden_tables.py tests/golden

Row i of a table of positions has i + c / 16 in channel c, which all types of numbers hold exactly.
"""

import os
import sys

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

DIM = 8


def table(rows):
    return (np.arange(rows)[:, None] + np.arange(DIM)[None, :] / 16).astype(np.float32)


def gpt2(path):
    """openai-community/gpt2 has these names, of 1024 rows and 768 channels."""
    save_file(
        {
            "wpe.weight": torch.from_numpy(table(16)),
            "wte.weight": torch.zeros(5, DIM),
            "h.0.attn.bias": torch.tril(torch.ones(4, 4)).view(1, 1, 4, 4),
            "h.0.ln_1.weight": torch.ones(DIM),
        },
        path,
        metadata={"format": "pt"},
    )


def bert(path):
    """google-bert/bert-base-uncased has these names, of 512 rows; here in two short types."""
    rows = torch.from_numpy(table(12))
    save_file(
        {
            "bert.embeddings.position_embeddings.weight": rows.to(torch.bfloat16),
            "bert.embeddings.LayerNorm.weight": torch.ones(DIM, dtype=torch.float16),
            "bert.embeddings.position_ids": torch.arange(12).unsqueeze(0),
            "roberta.embeddings.position_embeddings.weight": torch.cat([torch.zeros(2, DIM), rows]).to(torch.float16),
        },
        path,
        metadata={"format": "pt"},
    )


def numpy(path):
    np.savez_compressed(path, wpe=np.asfortranarray(table(12)), wide=table(12).astype(">f8"), half=table(12).astype(np.float16))


def keras(path):
    with h5py.File(path, "w", libver="earliest") as file:
        group = file.create_group("transformer/wpe", track_order=False)
        group.create_dataset("embeddings:0", data=table(12), track_times=False)
        file.attrs["backend"] = "tensorflow"


folder = sys.argv[1]
gpt2(os.path.join(folder, "tables_gpt2.safetensors"))
bert(os.path.join(folder, "tables_bert.safetensors"))
numpy(os.path.join(folder, "tables_numpy.npz"))
keras(os.path.join(folder, "tables_keras.h5"))

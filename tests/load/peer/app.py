"""The same models behind FastAPI and ONNX Runtime, as one would write it in Python: what `make bench` compares marketrank with.

Preprocessing by Pillow, requests handled in FastAPI's thread pool, one session of each model with all cores.
"""

import io
import json
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, File, HTTPException, UploadFile
from PIL import Image, ImageOps
from pydantic import BaseModel
from tokenizers import Tokenizer

MODELS = Path(os.environ["MODELS"])
PRECISION = os.environ.get("PRECISION", "int8")
manifest = json.loads((MODELS / "manifest.json").read_text())
entries = manifest["models"]


def variant(model: str) -> dict:
    return next(v for v in entries[model]["variants"] if v["precision"] == PRECISION)


def session(model: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("THREADS", os.cpu_count()))
    return ort.InferenceSession(MODELS / variant(model)["file"], options, providers=["CPUExecutionProvider"])


photos, texts = session("image"), session("text")
tokenizer = Tokenizer.from_file(str(MODELS / manifest["tokenizer"]["file"]))
tokenizer.no_padding()
tokenizer.enable_truncation(entries["text"]["text"]["max_tokens"])
size = entries["image"]["image"]
app = FastAPI()


class Listing(BaseModel):
    title: str = ""
    description: str = ""


def answer(logits: np.ndarray, model: str) -> dict:
    scaled = logits[0] / variant(model)["temperature"]
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    best = np.argsort(-shares)[:5]
    predictions = [{"category": manifest["categories"][i], "probability": float(shares[i])} for i in best]
    return {**predictions[0], "predictions": predictions}


def letterbox(photo: Image.Image) -> np.ndarray:
    bars = tuple(size["letterbox"])
    return np.asarray(ImageOps.pad(photo, (size["width"], size["height"]), Image.Resampling.BILINEAR, color=bars))


@app.post("/photo")
def categorise_photo(image: UploadFile = File()) -> dict:
    try:
        photo = ImageOps.exif_transpose(Image.open(io.BytesIO(image.file.read()))).convert("RGB")
    except OSError as error:
        raise HTTPException(422, str(error)) from error
    return answer(photos.run(["logits"], {"image": letterbox(photo)[None]})[0], "image")


@app.post("/text")
def categorise_text(listing: Listing) -> dict:
    ids = np.array([tokenizer.encode(f"{listing.title}\n{listing.description}").ids])
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return answer(texts.run(["logits"], inputs)[0], "text")

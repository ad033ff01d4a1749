"""The stack of the service before this one, as one would write it: FastAPI and PyTorch in float32, ResNet-50 at 128 px for photos,
BERT-base under three convolutions for texts. `make bench OLDER=older` compares marketrank with it.

The weights are random: speed does not depend on them. Preprocessing by torchvision, requests handled in FastAPI's thread pool, PyTorch's
own number of threads.
"""

import io
import json
import os
from pathlib import Path

import torch
from fastapi import FastAPI, File, HTTPException, UploadFile
from PIL import Image, ImageOps
from pydantic import BaseModel
from torch import nn
from torchvision import transforms
from torchvision.models import resnet50
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

MODELS = Path(os.environ["MODELS"])
manifest = json.loads((MODELS / "manifest.json").read_text())
categories = manifest["categories"]
# The vocabulary of bert-base-uncased, which the text model reads too.
tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(MODELS / manifest["tokenizer"]["file"]))
MAX_TOKENS = manifest["models"]["text"]["text"]["max_tokens"]


class TextClassifier(nn.Module):
    """BERT-base, then convolutions of 256, 128 and 64 channels over 3 tokens, each pooled."""

    def __init__(self):
        super().__init__()
        self.bert = BertModel(BertConfig())
        layers, width = [], self.bert.config.hidden_size
        for channels in (256, 128, 64):
            layers += [nn.Conv1d(width, channels, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool1d(2, ceil_mode=True)]
            width = channels
        self.convolutions = nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten())
        self.fc = nn.Linear(width, len(categories))

    def forward(self, **tokens):
        return self.fc(self.convolutions(self.bert(**tokens).last_hidden_state.transpose(1, 2)))


photos = resnet50(num_classes=len(categories)).eval()
texts = TextClassifier().eval()
to_tensor = transforms.Compose(
    [
        transforms.Resize((128, 128)),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)
app = FastAPI()


class Listing(BaseModel):
    title: str = ""
    description: str = ""


def answer(logits: torch.Tensor) -> dict:
    shares = torch.softmax(logits[0], dim=0)
    best = torch.topk(shares, 5)
    predictions = [{"category": categories[i], "probability": p} for p, i in zip(best.values.tolist(), best.indices.tolist())]
    return {**predictions[0], "predictions": predictions}


@app.post("/photo")
def categorise_photo(image: UploadFile = File()) -> dict:
    try:
        photo = ImageOps.exif_transpose(Image.open(io.BytesIO(image.file.read()))).convert("RGB")
    except OSError as error:
        raise HTTPException(422, str(error)) from error
    with torch.inference_mode():
        return answer(photos(to_tensor(photo)[None]))


@app.post("/text")
def categorise_text(listing: Listing) -> dict:
    text = f"{listing.title}\n{listing.description}"
    tokens = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        return answer(texts(**tokens))

"""Fine-tunes a text network too large to be served, and keeps what it answers to texts of the training listings for
`marketrank-train train text --teacher` and `train image --teacher` to learn from (distillation, Hinton et al. 2015).

Each listing is answered to by a network that has not learnt from it: the training listings are dealt into folds, and the
network is fine-tuned once for each, on the others (cross-fitting). One that has seen a listing repeats its label, and a student
learns no more from that than from the label. It is asked about the whole listing, its title, and texts cut out of it.

In PyTorch, whose bfloat16 on the matrix units of recent Xeons makes a network of this size trainable on two cores: three
quarters of an hour for three folds. It reads the clean table that `marketrank-train prepare` writes, and agrees with
`training/src/learn` on the columns (category logits, subcategory logits, price) and their loss.
"""

import argparse
import csv
import hashlib
import json
import math
import random
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel

MAX_TOKENS = 96
BATCH = 32
# Batches whose texts are sorted by length together, so that little is spent on padding.
SORTED_TOGETHER = 16
LEARNING_RATE = 6e-5
# Against that of the network.
HEAD_LEARNING_RATE = 10
WARM_UP = 0.15
LABEL_SMOOTHING = 0.1
SUBCATEGORY_WEIGHT = 0.5
PRICE_WEIGHT = 0.3
# The three price columns: half width below the median, median, half width above.
QUANTILES = (0.1, 0.5, 0.9)
# About the log price of a common listing, and the half widths that go with it.
PRICE_BIAS = (1.5, 3.5, 1.5)


# Texts that are cut out of each listing.
VIEWS = 3
# Words of a passage out of a description.
PASSAGE = (5, 60)
# Of a title's words, how many stay where some are left out.
KEPT_WORDS = 0.7


@dataclass
class Text:
    part: str  # whole, title or view
    title: str
    description: str


@dataclass
class Listing:
    id: str
    title: str
    description: str
    category: int
    subcategory: int  # -1 where it is no label
    log_price: float  # NaN where there is none


@dataclass
class Table:
    listings: list[Listing]  # those for training
    categories: int
    subcategories: int
    sha256: str

    @property
    def classes(self) -> int:
        return self.categories + self.subcategories


def read_table(folder: Path) -> Table:
    """The clean table, labels numbered as `marketrank-train` numbers them."""
    csv.field_size_limit(sys.maxsize)
    file = folder / "products.csv"
    with open(file, newline="", encoding="utf-8") as rows:
        rows = list(csv.DictReader(rows))
    report = json.loads((folder / "report.json").read_text())
    categories = {name: number for number, name in enumerate(sorted({row["category"] for row in rows}))}
    subcategories = {path: number for number, path in enumerate(report["subcategories"])}

    def listing(row: dict[str, str]) -> Listing:
        price = float(row["price"] or 0)
        return Listing(
            id=row["id"],
            title=row["title"],
            description=row["description"],
            category=categories[row["category"]],
            subcategory=subcategories.get(f"{row['category']} / {row['subcategory']}", -1),
            log_price=math.log(price) if price > 0 else math.nan,
        )

    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    listings = [listing(row) for row in rows if row["split"] == "train"]
    return Table(listings, len(categories), len(subcategories), sha256)


def view(listing: Listing) -> Text:
    """Some sentences of the description, a passage of it, or its beginning under a title with words left out."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+|\n+", listing.description) if part.strip()]
    kind = random.random()
    if kind < 0.5 and len(sentences) > 1:
        kept = sorted(random.sample(range(len(sentences)), random.randint(1, len(sentences) - 1)))
        return Text("view", listing.title, " ".join(sentences[index] for index in kept))
    if kind < 0.75:
        words = listing.description.split()
        first = random.randint(0, len(words) // 2)
        return Text("view", listing.title, " ".join(words[first : first + random.randint(*PASSAGE)]))
    title = " ".join(word for word in listing.title.split() if random.random() < KEPT_WORDS)
    beginning = sentences[: random.randint(1, max(1, len(sentences)))]
    return Text("view", title or listing.title, " ".join(beginning))


def whole(listing: Listing) -> Text:
    return Text("whole", listing.title, listing.description)


def texts_of(listing: Listing) -> list[Text]:
    return [whole(listing), Text("title", listing.title, ""), *(view(listing) for _ in range(VIEWS))]


class Encoder:
    def __init__(self, tokenizer_file: Path):
        self.tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.no_padding()
        self.padding = self.tokenizer.token_to_id("<pad>") or 0

    def ids(self, texts: list[Text]) -> list[list[int]]:
        pairs = [(text.title, text.description) if text.description else text.title for text in texts]
        return [encoding.ids for encoding in self.tokenizer.encode_batch(pairs)]


class Teacher(nn.Module):
    """A pretrained network, mean pooling, and one linear layer for all columns."""

    def __init__(self, weights: Path, table: Table):
        super().__init__()
        # Dropout inside the network costs a third of the time, and the epochs are few.
        self.network = AutoModel.from_pretrained(
            weights, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        # Four thousand listings say little of thirty thousand tokens.
        self.network.embeddings.requires_grad_(False)
        self.dropout = nn.Dropout(0.1)
        self.columns = nn.Linear(self.network.config.hidden_size, table.classes + len(QUANTILES))
        nn.init.normal_(self.columns.weight, std=0.02)
        nn.init.zeros_(self.columns.bias)
        with torch.no_grad():
            self.columns.bias[table.classes :] = torch.tensor(PRICE_BIAS)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            states = self.network(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(2).float()
        pooled = (states.float() * weights).sum(1) / weights.sum(1)
        return self.columns(self.dropout(F.normalize(pooled) * math.sqrt(pooled.shape[1])))


def padded(texts: list[list[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, `[batch, longest]`."""
    longest = max(map(len, texts))
    ids = torch.tensor([text + [padding] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return ids, mask


def loss_of(columns: Tensor, listings: list[Listing], table: Table) -> Tensor:
    category, subcategory, price = columns.split([table.categories, table.subcategories, len(QUANTILES)], dim=1)
    loss = F.cross_entropy(category, torch.tensor([l.category for l in listings]), label_smoothing=LABEL_SMOOTHING)
    labels = torch.tensor([l.subcategory for l in listings])
    if (labels >= 0).any():
        loss = loss + SUBCATEGORY_WEIGHT * F.cross_entropy(
            subcategory, labels, ignore_index=-1, label_smoothing=LABEL_SMOOTHING
        )
    log_price = torch.tensor([l.log_price for l in listings])
    known = ~log_price.isnan()
    if known.any():
        median = price[:, 1]
        predicted = (median - F.softplus(price[:, 0]), median, median + F.softplus(price[:, 2]))
        for share, quantile in zip(QUANTILES, predicted, strict=True):
            above = (log_price - quantile)[known]
            loss = loss + PRICE_WEIGHT * torch.maximum(above * share, above * (share - 1)).mean()
    return loss


@torch.no_grad()
def answers(teacher: Teacher, texts: list[list[int]], padding: int) -> Tensor:
    """Columns `[texts, columns]`."""
    teacher.eval()
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    columns = torch.zeros(len(texts), teacher.columns.out_features)
    for first in range(0, len(by_length), BATCH):
        batch = by_length[first : first + BATCH]
        columns[batch] = teacher(*padded([texts[index] for index in batch], padding))
    return columns


def epoch_of_batches(texts: list[list[int]], among: list[int]) -> list[list[int]]:
    order = random.sample(among, len(among))
    batches = []
    for first in range(0, len(order), BATCH * SORTED_TOGETHER):
        together = sorted(order[first : first + BATCH * SORTED_TOGETHER], key=lambda index: len(texts[index]))
        batches += [together[at : at + BATCH] for at in range(0, len(together), BATCH)]
    random.shuffle(batches)
    return batches


def train(teacher: Teacher, table: Table, texts: list[list[int]], padding: int, learnt: list[int], epochs: int) -> None:
    groups = [
        {"params": teacher.network.encoder.parameters(), "lr": LEARNING_RATE},
        {"params": teacher.columns.parameters(), "lr": LEARNING_RATE * HEAD_LEARNING_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    steps = epochs * math.ceil(len(learnt) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in groups], total_steps=steps, pct_start=WARM_UP
    )
    trained = [parameter for parameter in teacher.parameters() if parameter.requires_grad]
    started = time.monotonic()
    for epoch in range(epochs):
        teacher.train()
        losses = []
        for batch in epoch_of_batches(texts, learnt):
            columns = teacher(*padded([texts[index] for index in batch], padding))
            loss = loss_of(columns, [table.listings[index] for index in batch], table)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"  epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.4f}, {time.monotonic() - started:.0f} s", flush=True)


def write_fold(file: Path, given: argparse.Namespace, fold: int, table: Table, encoder: Encoder) -> None:
    """What a network that learns from the other folds says of this one's listings."""
    torch.manual_seed(given.seed)
    random.seed(given.seed)
    numbers = range(len(table.listings))
    texts = encoder.ids([whole(listing) for listing in table.listings])
    teacher = Teacher(given.weights, table)
    learnt = [number for number in numbers if number % given.folds != fold]
    train(teacher, table, texts, encoder.padding, learnt, given.epochs)
    asked = [(table.listings[number], text) for number in numbers[fold :: given.folds] for text in texts_of(table.listings[number])]
    columns = answers(teacher, encoder.ids([text for _, text in asked]), encoder.padding).numpy()
    for part in ("whole", "title", "view"):
        chosen = [row for row, (_, text) in enumerate(asked) if text.part == part]
        category = np.array([asked[row][0].category for row in chosen])
        right = (columns[chosen, : table.categories].argmax(1) == category).mean()
        print(f"  {part}: {right:.1%} right of listings not learnt from", flush=True)
    partial = file.with_suffix(".partial")
    with open(partial, "w", newline="", encoding="utf-8") as rows:
        writer = csv.writer(rows)
        for (listing, text), answer in zip(asked, columns, strict=True):
            writer.writerow([listing.id, text.part, text.title, text.description, *(f"{value:.4f}" for value in answer)])
    partial.replace(file)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clean", type=Path, default="data/clean", help="folder of the clean table")
    arguments.add_argument("--weights", type=Path, default=".cache/teacher/all-mpnet-base-v2", help="the pretrained network")
    arguments.add_argument("--answers", type=Path, default=".cache/teacher/answers.csv", help="file to write")
    arguments.add_argument("--folds", type=int, default=3)
    arguments.add_argument("--epochs", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    if given.folds < 2 or given.epochs < 1:
        arguments.error("two folds and one epoch are the least")
    # Before hours of work, not after.
    given.answers.parent.mkdir(parents=True, exist_ok=True)

    table = read_table(given.clean)
    encoder = Encoder(given.weights / "tokenizer.json")
    made_by = f"{table.sha256} {given.weights} {given.epochs} {given.seed}"
    name = hashlib.sha256(made_by.encode()).hexdigest()[:8]
    parts = [given.answers.with_name(f"{name}-{fold + 1}-of-{given.folds}.csv") for fold in range(given.folds)]
    for fold, part in enumerate(parts):
        print(f"fold {fold + 1} of {given.folds}", flush=True)
        # Kept until all are there, so that a run that was interrupted goes on with the next fold.
        if not part.exists():
            write_fold(part, given, fold, table, encoder)
    columns = [f"c{column}" for column in range(table.classes + len(QUANTILES))]
    partial = given.answers.with_suffix(".partial")
    header = ",".join(["listing", "part", "title", "description", *columns])
    partial.write_bytes(header.encode() + b"\r\n" + b"".join(part.read_bytes() for part in parts))
    partial.replace(given.answers)
    for part in parts:
        part.unlink()
    print(f"{given.answers}: answers to {len(table.listings)} listings")


if __name__ == "__main__":
    main()
